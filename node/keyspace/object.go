package keyspace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/genuineh/aikv/node/keyspace/records"
	"github.com/genuineh/aikv/node/keyspace/tree"
	"github.com/genuineh/aikv/node/storage"
)

// objectID is the number of a big value: its shard (8 bytes), and the version
// that made it big, index (8) and operation (4). It is unique in the cluster, and
// never given again. Renaming a key leaves it.
type objectID [objectSize]byte

const (
	objectSize = 8 + 8 + 4
	// pageHeader is how many bytes stand before the page number in the stored key
	// of a page: class (1), slot (2), object.
	pageHeader  = 1 + 2 + objectSize
	pageKeySize = pageHeader + 4
)

func newObjectID(group uint64, v Version) (id objectID) {
	binary.BigEndian.PutUint64(id[:], group)
	binary.BigEndian.PutUint64(id[8:], v.Index)
	binary.BigEndian.PutUint32(id[16:], v.Op)
	return id
}

// object returns the number of the big value that the record stands for, if it
// does.
func (r *record) object() (id objectID, ok bool) {
	if r == nil || r.meta.Flags&flagPaged == 0 {
		return id, false
	}
	return objectID(r.body[:objectSize]), true
}

// pageKey returns the stored key of a page of an object.
func pageKey(s uint16, id objectID, page uint32) (key [pageKeySize]byte) {
	key[0] = classPage
	binary.BigEndian.PutUint16(key[1:], s)
	copy(key[3:], id[:])
	binary.BigEndian.PutUint32(key[pageHeader:], page)
	return key
}

// remainsKey returns the stored key of the record that says that an object is
// gone: nobody needs its pages but views that are older.
func remainsKey(s uint16, id objectID) []byte {
	return append(remainsPrefix(s), id[:]...)
}

// remainsPrefix is what the stored keys of a slot's remains begin with.
func remainsPrefix(s uint16) []byte { return binary.BigEndian.AppendUint16([]byte{classRemains}, s) }

// remainsOf returns the range of what is gone: the pages of an object, those of all
// objects whose numbers begin so, or a change log.
func remainsOf(remains []byte) (lower, upper []byte) {
	if binary.BigEndian.Uint16(remains[1:]) == noSlot {
		lower = append([]byte{classChange}, remains[3:]...)
	} else {
		lower = append([]byte{classPage}, remains[1:]...)
	}
	return lower, prefixEnd(lower)
}

// prefixEnd is above every key that begins with a prefix, whose first byte is not 255.
func prefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	end[len(end)-1]++
	return end
}

// remainsRange is that of all remains.
func remainsRange() (lower, upper []byte) { return []byte{classRemains}, []byte{classRemains + 1} }

// pages reads the pages of an object in the state of a view.
type pages struct {
	view *View
	key  [pageKeySize]byte
	// peeks: whoever reads keeps nothing of the pages.
	peeks bool
}

func (v *View) pages(s uint16, id objectID) *pages { return &pages{view: v, key: pageKey(s, id, 0)} }

// Page returns a page, which must be there.
func (p *pages) Page(n uint32) ([]byte, error) {
	if p.peeks && p.view.own != nil {
		page, _, err := p.Peek(n)
		return page, err
	}
	v := p.view
	binary.BigEndian.PutUint32(p.key[pageHeader:], n)
	var page []byte
	var ok bool
	switch {
	case v.err != nil || v.ks == nil:
	case v.own != nil:
		page, ok = v.own.recs.Get(p.key[:])
	default:
		page, ok = v.recs.Get(p.key[:])
	}
	return page, p.missing(ok)
}

// Peek is Page, in a transaction, for a caller that keeps nothing of the page.
func (p *pages) Peek(n uint32) (page []byte, own bool, err error) {
	binary.BigEndian.PutUint32(p.key[pageHeader:], n)
	page, own, ok := p.view.own.recs.Peek(p.key[:])
	return page, own, p.missing(ok)
}

// missing returns why a page is not there, if it is not.
func (p *pages) missing(ok bool) error {
	if err := p.view.Err(); err != nil || ok {
		return err
	}
	return fmt.Errorf("%w: it is missing", storage.ErrCorrupt)
}

// pageWriter writes them, too.
type pageWriter struct {
	pages
	tx *Tx
	// numbers are those of the object; last is above all that it had in use before
	// the change that is under way.
	numbers tree.Numbers
	last    uint32
	// drafts are the records whose memory Buffer has returned.
	drafts []records.Record
	// Where drafts begin, and the trees that are in use.
	first [8]records.Record
	trees [3]tree.Tree
	used  int
}

// newWriter returns an empty writer.
func (tx *Tx) newWriter(s uint16, id objectID) *pageWriter {
	w := tx.ks.spare
	if tx.ks.spare = nil; w == nil {
		w = new(pageWriter)
	}
	w.pages, w.tx = pages{view: &tx.View, key: pageKey(s, id, 0)}, tx
	w.drafts = w.first[:0]
	return w
}

// done gives the writer's memory back, with its trees.
func (p *pageWriter) done() {
	ks := p.tx.ks
	*p = pageWriter{}
	ks.spare = p
}

// Buffer returns memory that is a record's already, for Put to find it again.
func (p *pageWriter) Buffer(n uint32, content []byte, room int) []byte {
	binary.BigEndian.PutUint32(p.key[pageHeader:], n)
	if len(content) > 0 {
		if rec := p.tx.own.recs.Own(p.key[:]); rec != nil && inMemory(rec, content) {
			if memory := rec.Memory(); len(content)+room <= cap(memory) {
				p.drafts = append(p.drafts, rec)
				return memory[:len(content)]
			}
			room += len(content) / 2 // it grows again, likely
		}
	}
	rec := records.Draft(p.key[:], len(content)+room)
	p.drafts = append(p.drafts, rec)
	return append(rec.Memory()[:0], content...)
}

// inMemory reports whether a page lies where the value of a record begins.
func inMemory(rec records.Record, page []byte) bool {
	memory := rec.Memory()
	return cap(memory) > 0 && cap(page) > 0 && &memory[:1][0] == &page[:1][0]
}

// Put writes a page.
func (p *pageWriter) Put(n uint32, page []byte) {
	binary.BigEndian.PutUint32(p.key[pageHeader:], n)
	var rec records.Record
	for i, draft := range p.drafts {
		if inMemory(draft, page) {
			rec = draft.WithValue(len(page))
			p.drafts = slices.Delete(p.drafts, i, i+1)
			break
		}
	}
	if rec == nil {
		rec = records.New(p.key[:], page)
	}
	p.tx.own.recs.PutOwn(rec, n > p.last)
	if p.tx.own.moves != nil {
		p.tx.touch(p.key[:])
	}
}

// Delete removes a page.
func (p *pageWriter) Delete(n uint32) {
	binary.BigEndian.PutUint32(p.key[pageHeader:], n)
	p.tx.own.recs.Delete(p.key[:])
	if p.tx.own.moves != nil {
		p.tx.touch(p.key[:])
	}
}

// create begins a new object for a key.
func (tx *Tx) create(r *ref) *pageWriter {
	return tx.newWriter(r.stored.slot(), newObjectID(tx.ks.group, tx.nextVersion()))
}

// change begins to change the object of a record, whose body ends with numbers.
func (tx *Tx) change(rec *record, numbers []byte) *pageWriter {
	id, _ := rec.object()
	w := tx.newWriter(rec.stored.slot(), id)
	w.numbers, _, _ = tree.DecodeNumbers(numbers) // sound: see record.decode
	w.last = w.numbers.Last()
	return w
}

// id is the object's.
func (p *pages) id() []byte { return p.key[3:pageHeader] }

// tree returns a tree of the object, to be changed.
func (p *pageWriter) tree(root tree.Root) *tree.Tree {
	if p.used == len(p.trees) {
		return tree.New(p, root, &p.numbers, p.tx.ks.pageSize)
	}
	t := &p.trees[p.used]
	p.used++
	t.Init(p, root, &p.numbers, p.tx.ks.pageSize)
	return t
}

// build writes a tree of a new object, whose items are what fill adds, in order. It
// may be changed.
func (p *pageWriter) build(fill func(add func(key, value []byte))) *tree.Tree {
	b := tree.NewBuilder(p, &p.numbers, p.tx.ks.pageSize)
	fill(func(key, value []byte) { p.tx.fail(b.Add(key, value)) })
	root, err := b.Finish()
	p.tx.fail(err)
	p.last = p.numbers.Last()
	return p.tree(root)
}

// fail makes an error of an object's pages the view's.
func (v *View) fail(err error) {
	if v.Err() == nil && err != nil {
		v.err = fmt.Errorf("keyspace: %w: a big value: %w", storage.ErrCorrupt, err)
	}
}

// abandon says that the transaction no longer needs the object that before, a
// record of the key, stands for, unless now stands for it as well.
func (tx *Tx) abandon(before, now *record) {
	old, ok := before.object()
	if id, still := now.object(); ok && (!still || id != old) {
		remains := remainsKey(before.stored.slot(), old)
		tx.own.recs.Insert(remains, nil)
		if tx.own.moves != nil {
			tx.touch(remains)
		}
	}
}

// copyObject writes the pages of a record's object under a new number, and
// returns the body that stands for that.
func (tx *Tx) copyObject(r *ref, rec *record) []byte {
	to := tx.create(r)
	defer to.done()
	for _, root := range rec.roots() {
		id, _ := rec.object()
		from := tree.NewView(tx.pages(rec.stored.slot(), id), root)
		tx.fail(from.Pages(func(n uint32, page []byte) error {
			to.Put(n, page)
			return tx.Err()
		}))
	}
	return append(append([]byte(nil), to.id()...), rec.body[objectSize:]...)
}

// flush writes what has changed of trees of the object, and returns a body that
// stands for them: the object, head, the trees' roots, and the page numbers. It is
// nil after an error, which is the transaction's. It ends the writer and its trees;
// the body is good until the next change.
func (p *pageWriter) flush(head []byte, trees ...*tree.Tree) []byte {
	for _, t := range trees {
		p.tx.fail(t.Flush())
	}
	if p.tx.Err() != nil {
		return nil
	}
	body := append(append(p.tx.own.scratch[:0], p.id()...), head...)
	for _, t := range trees {
		body = t.Root().Append(body)
	}
	body = p.numbers.Append(body)
	p.tx.own.scratch = body
	p.done()
	return body
}

// roots returns the roots of the trees of a big value, none for another one.
func (r *record) roots() []tree.Root {
	if _, big := r.object(); !big {
		return nil
	}
	switch r.meta.Type {
	case TypeHash:
		p := parsePagedHash(r.body)
		return []tree.Root{p.fields, p.expiry}
	case TypeList:
		return []tree.Root{parsePagedList(r.body).root}
	case TypeSortedSet:
		p := parsePagedSortedSet(r.body)
		return []tree.Root{p.members, p.order}
	case TypeStream:
		p := parsePagedStream(r.body)
		return []tree.Root{p.entries, p.nodes, p.groups}
	default:
		return []tree.Root{parsePagedSet(r.body).members}
	}
}

// takeRoots takes the roots of a big value's trees off a body, and returns what
// comes after: the page numbers.
func takeRoots(body []byte, roots ...*tree.Root) (numbers []byte, err error) {
	for _, root := range roots {
		if *root, body, err = tree.DecodeRoot(body); err != nil {
			return nil, err
		}
	}
	return body, nil
}

// checkRoots is takeRoots for a body of unknown origin: it reports whether that and
// DecodeNumbers can read it to its end.
func checkRoots(body []byte, roots ...*tree.Root) bool {
	numbers, err := takeRoots(body, roots...)
	if err != nil {
		return false
	}
	_, rest, err := tree.DecodeNumbers(numbers)
	return err == nil && len(rest) == 0
}

// elementKey appends the key of an element in the tree that finds it: its
// fingerprint, and the element. Cursors of HSCAN, SSCAN and ZSCAN are
// fingerprints.
func elementKey(dst, element []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, fingerprint(element)), element...)
}

const fingerprintSize = 4

// elementDigestBits is how much of an element's digest a cursor holds that stops among
// many elements of one fingerprint, above the fingerprint. See cursorWithin.
const elementDigestBits = 30

func elementDigest(element []byte) uint64 { return digest(element) >> (digestBits - elementDigestBits) }

// scanTree calls fn for at least count items of a tree of elementKeys from a
// cursor on, and few more, and returns the next cursor. If an element that it stopped
// at among many of one fingerprint is deleted, it begins that fingerprint again.
func (v *View) scanTree(t tree.View, cursor uint64, count int, fn func(element, value []byte)) (next uint64) {
	from, ok := v.scanFrom(t, cursor)
	if !ok {
		return 0
	}
	seen, last := 0, uint32(0)
	var element []byte
	v.fail(t.Ascend(from, func(key, value []byte) bool {
		at := binary.BigEndian.Uint32(key)
		switch {
		case seen < max(count, 1):
		case at != last:
			next = uint64(at)
			return false
		case seen >= max(count, 1)+crowd:
			next = cursorWithin | elementDigest(element)<<32 | uint64(at)
			return false
		}
		seen, last = seen+1, at
		element = append(element[:0], key[fingerprintSize:]...)
		fn(key[fingerprintSize:], value)
		return true
	}))
	return next
}

// scanFrom returns the position that a cursor of scanTree means; ok is false if it means
// none.
func (v *View) scanFrom(t tree.View, cursor uint64) (from int64, ok bool) {
	within := cursor&cursorWithin != 0
	if cursor >= 2*cursorWithin || !within && cursor > math.MaxUint32 {
		return 0, false
	}
	from, _, err := t.Find(binary.BigEndian.AppendUint32(nil, uint32(cursor)))
	if err == nil && within {
		at := from
		err = t.Ascend(from, func(key, _ []byte) bool {
			at++
			if binary.BigEndian.Uint32(key) != uint32(cursor) {
				return false
			}
			met := elementDigest(key[fingerprintSize:]) == cursor&^cursorWithin>>32
			if met {
				from = at
			}
			return !met
		})
	}
	v.fail(err)
	return from, err == nil
}
