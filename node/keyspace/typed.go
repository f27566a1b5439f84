package keyspace

import (
	"errors"

	"github.com/genuineh/aikv/node/keyspace/tree"
)

// ErrWrongType is the error of asking for a value of one type under a key that
// holds another.
var ErrWrongType = errors.New("keyspace: the key holds a value of another type")

// Flags of values with elements. Once set they stay for as long as the value
// lives, as Redis's conversions do, but for flagLarge of a list, and flagIntegers.
const (
	// flagLarge: the value has outgrown what Redis keeps as a listpack.
	flagLarge Flags = 1 << 0
	// flagVolatile: a field of the hash has had a time of expiry, so fields have
	// room for one.
	flagVolatile Flags = 1 << 1
	// flagIntegers: the members of the set are integers, as in Redis's intset.
	flagIntegers Flags = 1 << 2
	// flagPaged: the elements are in pages, and not in the body.
	flagPaged Flags = 1 << 3
)

// inlineLimit is how many bytes of elements a metadata record holds; more go into
// pages. It is no limit of Redis's: see flagLarge. Most of what Redis keeps as a
// listpack fits, and up to here writing the record anew costs a third of what changing
// pages does. A value that is in pages stays there, whatever the limit was.
const inlineLimit = 8 << 10

// inlineListLimit is the same for lists, where nothing is looked for, so that a change
// of pages costs no more than what a record of this size does.
const inlineListLimit = 2 << 10

// inlineList returns the limit of lists.
func (ks *Keyspace) inlineList() int { return min(ks.inlineLimit, inlineListLimit) }

// Redis's default limits of a listpack, which CONFIG GET answers with as well.
const (
	largeHash       = 512 // fields
	largeSet        = 128 // members
	largeIntegerSet = 512 // members, of an intset
	largeSortedSet  = 128 // members
	largeElement    = 64  // bytes of a field, a value or a member
)

// Encoding returns what OBJECT ENCODING says of the value. For a string that
// depends on what is in it, and is not told here.
func (m Meta) Encoding() string {
	switch {
	case (m.Type == TypeHash || m.Type == TypeSet) && m.Flags&flagLarge != 0:
		return "hashtable"
	case m.Type == TypeSet && m.Flags&flagIntegers != 0:
		return "intset"
	case m.Type == TypeHash && m.Flags&flagVolatile != 0:
		return "listpackex"
	case m.Type == TypeSortedSet && m.Flags&flagLarge != 0:
		return "skiplist"
	case m.Type == TypeList && m.Flags&flagLarge != 0:
		return "quicklist"
	case m.Type == TypeHash, m.Type == TypeSet, m.Type == TypeSortedSet, m.Type == TypeList:
		return "listpack"
	case m.Type == TypeStream:
		return "stream"
	default:
		return "raw"
	}
}

// deadline is what the expiry index says of a key.
type deadline struct {
	// at is when something of the key expires next, the key itself or a field of
	// a hash; 0: nothing does, and the key has no entry.
	at int64
	// whole: the key has a time of expiry.
	whole bool
}

// deadline returns the zero value for no record.
func (r *record) deadline() deadline {
	if r == nil {
		return deadline{}
	}
	return deadline{sooner(r.meta.ExpireAt, r.soonest), r.meta.ExpireAt != 0}
}

// fieldsOnly is the value of an expiry entry of a hash that has no time of
// expiry, but fields that do. Other entries have an empty one.
var fieldsOnly = []byte{1}

// entry is the value of the expiry entry.
func (d deadline) entry() []byte {
	if d.whole {
		return nil
	}
	return fieldsOnly
}

// sooner returns the earlier one of two times, 0 being never.
func sooner(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// replace changes a key from before, which load has returned, to what meta says
// (its version aside), soonest, and a body that is given in parts. It returns the
// new record, nil if it was refused as too large.
func (tx *Tx) replace(r *ref, before *record, meta Meta, soonest int64, body ...[]byte) *record {
	meta.Version = tx.nextVersion()
	size := len(r.key)
	for _, part := range body {
		size += len(part)
	}
	if size > MaxRecord {
		tx.own.large = true
		return nil
	}
	now := tx.newRecord(r.stored, meta, soonest, body...)
	tx.abandon(before, now)
	tx.set(r, before, now)
	return now
}

// SizeOf returns about how many bytes the value of a key takes as it is kept, and
// whether the key is there. It counts as no look-up.
func (v *View) SizeOf(key []byte) (size int64, ok bool) {
	r := v.ref(key)
	rec := v.load(&r)
	if !v.live(rec) {
		return 0, false
	}
	size = rec.meta.Size
	for _, root := range rec.roots() {
		size += v.sizeOfTree(rec, root)
	}
	return size, true
}

// sizeOfTree returns about how many bytes a tree of a big value has. Pages are of about
// one size but for those with an element that is larger: some elements tell.
func (v *View) sizeOfTree(rec *record, root tree.Root) int64 {
	const (
		usual   = tree.DefaultPageSize * 3 / 4 // bytes of a page
		samples = 16
	)
	id, _ := rec.object()
	elements := tree.NewView(v.pages(rec.stored.slot(), id), root)
	looked, bytes := min(samples, root.Count), int64(0)
	for i := range looked {
		key, value, err := elements.At(i * root.Count / looked)
		v.fail(err)
		bytes += int64(len(key) + len(value))
	}
	return max(int64(root.Pages)*usual, root.Count*bytes/max(looked, 1))
}

// SizeOfSome is SizeOf for n of the elements that a key holds, by their average size.
func (v *View) SizeOfSome(key []byte, n int64) int64 {
	size, _ := v.SizeOf(key)
	if count := v.elements(key); 0 <= n && n < count {
		return size / count * n
	}
	return size
}

// elements returns how many elements a key holds, 0 of what has none.
func (v *View) elements(key []byte) int64 {
	r := v.ref(key)
	rec := v.load(&r)
	if !v.live(rec) {
		return 0
	}
	switch value := (valueView{rec.meta.Type, v, rec}); rec.meta.Type {
	case TypeList:
		return ListView{value}.Len()
	case TypeSet:
		return SetView{value}.Len()
	case TypeHash:
		return HashView{value}.Len()
	case TypeSortedSet:
		return SortedSetView{value}.Len()
	case TypeStream:
		s := StreamView{valueView: value}
		s.parse()
		return s.Len()
	default:
		return 0
	}
}

// valueView reads the value of a key. It is what the views of values of all types
// that have elements begin with.
type valueView struct {
	typ  Type
	view *View
	rec  *record // nil: there is none, or it is empty
}

// typed returns the value that key holds, an empty one if the key is not there; the
// error is ErrWrongType, of a key that holds another type.
func (v *View) typed(key []byte, t Type) (valueView, error) {
	r := v.ref(key)
	rec := v.find(&r)
	if rec != nil && rec.meta.Type != t {
		return valueView{t, v, nil}, ErrWrongType
	}
	return valueView{t, v, rec}, nil
}

// meta is what the key's record says beside the elements.
func (v valueView) meta() Meta {
	if v.rec == nil {
		return Meta{Type: v.typ}
	}
	return v.rec.meta
}

// Encoding returns what OBJECT ENCODING says.
func (v valueView) Encoding() string { return v.meta().Encoding() }

// value is what changes the value of a key, beside a valueView of it.
type value struct {
	tx *Tx
	r  ref
}

// typed is View.typed for a value that is to be changed. It deletes the key if it has
// expired.
func (tx *Tx) typed(key []byte, t Type) (valueView, value, error) {
	r := tx.ref(key)
	rec := tx.find(&r)
	if rec != nil && rec.meta.Type != t {
		return valueView{t, &tx.View, nil}, value{tx, r}, ErrWrongType
	}
	return valueView{t, &tx.View, rec}, value{tx, r}, nil
}

// fits reports whether a record can hold so many bytes beside the key. The
// transaction remembers if not.
func (v *value) fits(size int) bool {
	if len(v.r.key)+size > MaxRecord {
		v.tx.own.large = true
		return false
	}
	return true
}

// anyFieldLasts reports whether a hash has a field that is there.
func (v *View) anyFieldLasts(rec *record) bool {
	if b, ok := (HashView{valueView{TypeHash, v, rec}}).big(); ok {
		return b.any()
	}
	in := parseInlineHash(rec.meta.Flags, rec.body)
	surely := max(v.now, v.localNow)
	for f := in.first(); f.ok; f = in.after(f) {
		if f.expireAt == 0 || f.expireAt > surely {
			return true
		}
	}
	for f := in.first(); f.ok; f = in.after(f) {
		if v.lasts(f.expireAt) {
			return true
		}
	}
	return false
}
