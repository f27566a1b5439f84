package streams

import (
	"math"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

const (
	errZeroID    = resp.Error("ERR The ID specified in XADD must be greater than 0-0")
	errSmallID   = resp.Error("ERR The ID specified in XADD is equal or smaller than the target stream top item")
	errExhausted = resp.Error("ERR The stream has exhausted the last possible ID, unable to add more items")

	errTwoStrategies = resp.Error("ERR syntax error, MAXLEN and MINID options at the same time are not compatible")
	errMaxLen        = resp.Error("ERR The MAXLEN argument must be >= 0.")
	errLimit         = resp.Error("ERR The LIMIT argument must be >= 0.")
	errLimitAlone    = resp.Error("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")
	errLimitExact    = resp.Error("ERR syntax error, LIMIT cannot be used without the special ~ option")
	errNoStrategy    = resp.Error("ERR syntax error, XTRIM must be called with a trimming strategy")
)

// usualLimit is how many entries an approximate trim removes at most that does not say.
const usualLimit = 10000

// trimming is what XADD and XTRIM are asked for.
type trimming struct {
	trim       keyspace.StreamTrim
	given      bool // MAXLEN or MINID
	limited    bool // LIMIT
	noCreate   bool // NOMKSTREAM
	referenced referenceOption
}

// referenceOption is what is to become of references to entries that go.
type referenceOption struct {
	what  keyspace.StreamReferences
	given bool
}

// take takes KEEPREF, DELREF or ACKED, if the arguments go on with one and none came
// before.
func (o *referenceOption) take(args *command.Args) bool {
	if o.given {
		return false
	}
	switch {
	case args.Is("keepref"):
		o.what = keyspace.KeepReferences
	case args.Is("delref"):
		o.what = keyspace.DropReferences
	case args.Is("acked"):
		o.what = keyspace.OnlyAcknowledged
	default:
		return false
	}
	o.given = true
	return true
}

// take takes an option that XADD and XTRIM have in common, if there is one.
func (t *trimming) take(args *command.Args) (taken bool, err error) {
	switch {
	case t.referenced.take(args):
	case args.IsWith("maxlen", 1):
		return true, t.takeLength(args)
	case args.IsWith("minid", 1):
		return true, t.takeID(args)
	case args.IsWith("limit", 1):
		t.limited = true
		if t.trim.Limit, err = args.Int(); err == nil && t.trim.Limit < 0 {
			err = errLimit
		}
	default:
		return false, nil
	}
	return true, err
}

// begin takes ~ or = behind the name of a strategy.
func (t *trimming) begin(args *command.Args) error {
	if t.given {
		return errTwoStrategies
	}
	t.given, t.trim.Whole = true, false
	if word := args.Peek(); args.Len() >= 2 && (is(word, "~") || is(word, "=")) {
		t.trim.Whole = is(args.Next(), "~")
	}
	return nil
}

func (t *trimming) takeLength(args *command.Args) (err error) {
	if err = t.begin(args); err != nil {
		return err
	}
	if t.trim.Length, err = args.Int(); err == nil && t.trim.Length < 0 {
		err = errMaxLen
	}
	return err
}

func (t *trimming) takeID(args *command.Args) (err error) {
	if err = t.begin(args); err != nil {
		return err
	}
	t.trim.ByID = true
	t.trim.MinID, err = parseID(args.Next(), 0)
	return err
}

// check returns what is wrong with the options together.
func (t *trimming) check(needed bool) error {
	switch {
	case t.trim.Limit != 0 && !t.given:
		return errLimitAlone
	case needed && !t.given:
		return errNoStrategy
	case t.limited && !t.trim.Whole:
		return errLimitExact
	case !t.limited && t.trim.Whole:
		t.trim.Limit = usualLimit
	}
	t.trim.References = t.referenced.what
	return nil
}

// newID is the id that XADD is to give.
type newID struct {
	id keyspace.StreamID
	// given: it was, or at least its time, and auto: the number was left open.
	given, auto bool
}

// takeNewID takes the id of XADD.
func takeNewID(args *command.Args) (n newID, err error) {
	if arg := args.Next(); !is(arg, "*") {
		n.given = true
		n.id, n.auto, err = parseNewID(arg, 0)
	}
	return n, err
}

// behind returns the id of the next entry, at a time, and whether there can be one.
func (n newID) behind(last keyspace.StreamID, now int64) (id keyspace.StreamID, ok bool) {
	switch {
	case !n.given && uint64(now) > last.MS:
		return keyspace.StreamID{MS: uint64(now)}, true
	case !n.given:
		return last.Next()
	case n.auto && last.MS == n.id.MS:
		id = keyspace.StreamID{MS: last.MS, Seq: last.Seq + 1}
		return id, last.Seq < math.MaxUint64
	default:
		return n.id, n.id.Compare(last) > 0
	}
}

func xadd(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	var t trimming
	for args.More() && !is(args.Peek(), "*") {
		if taken, err := t.take(args); err != nil {
			return err
		} else if taken {
			continue
		}
		if !args.Is("nomkstream") {
			break
		}
		t.noCreate = true
	}
	n, texts, err := takeEntry(args)
	if err != nil {
		return err
	}
	if err := t.check(false); err != nil {
		return err
	}
	if len(texts) < 2 || len(texts)%2 == 1 {
		return args.ErrArity()
	}
	if n.given && !n.auto && n.id == (keyspace.StreamID{}) {
		return errZeroID
	}
	return add(tx, key, n, texts, &t, r)
}

// takeEntry takes the id of an entry, and its texts.
func takeEntry(args *command.Args) (n newID, texts [][]byte, err error) {
	if args.More() {
		n, err = takeNewID(args)
	}
	return n, args.Rest(), err
}

func add(tx *command.Tx, key []byte, n newID, texts [][]byte, t *trimming, r *resp.Reply) error {
	s, err := tx.Stream(key)
	if err != nil {
		return err
	}
	if !s.Exists() && t.noCreate {
		r.Null()
		return nil
	}
	last := s.Head().Last
	if last == keyspace.MaxStreamID {
		return errExhausted
	}
	id, ok := n.behind(last, tx.Now())
	if !ok {
		return errSmallID
	}
	s.Append(id, texts)
	if t.given {
		s.Trim(t.trim)
	}
	s.End()
	writeID(r, id)
	return nil
}

func xtrim(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	var t trimming
	for args.More() {
		if taken, err := t.take(args); err != nil {
			return err
		} else if !taken {
			return command.ErrSyntax
		}
	}
	if err := t.check(true); err != nil {
		return err
	}
	s, err := tx.Stream(key)
	if err != nil {
		return err
	}
	r.Int(s.Trim(t.trim))
	s.End()
	return nil
}

func xdel(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	s, err := tx.Stream(args.Next())
	if err != nil {
		return err
	}
	if !s.Exists() {
		r.Int(0)
		return nil
	}
	ids, err := parseIDs(args.Rest())
	if err != nil {
		return err
	}
	deleted := int64(0)
	for _, id := range ids {
		if s.Delete(id) {
			deleted++
		}
	}
	s.End()
	r.Int(deleted)
	return nil
}

func xlen(v *command.View, args *command.Args, r *resp.Reply) error {
	s, _, err := v.Stream(args.Next())
	if err != nil {
		return err
	}
	r.Int(s.Len())
	return nil
}

const (
	errAddedNegative = resp.Error("ERR entries_added must be positive")
	errSetDeleted    = resp.Error("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id")
	errSetBelow      = resp.Error("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id")
	errSetTop        = resp.Error("ERR The ID specified in XSETID is smaller than the target stream top item")
	errSetAdded      = resp.Error("ERR The entries_added specified in XSETID is smaller than the target stream length")
)

func xsetid(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	last, err := parseID(args.Next(), 0)
	if err != nil {
		return err
	}
	added, deleted := int64(-1), keyspace.StreamID{}
	for args.More() {
		switch {
		case args.IsWith("entriesadded", 1):
			if added, err = args.Int(); err == nil && added < 0 {
				err = errAddedNegative
			}
		case args.IsWith("maxdeletedid", 1):
			if deleted, err = parseID(args.Next(), 0); err == nil && last.Compare(deleted) < 0 {
				err = errSetDeleted
			}
		default:
			err = command.ErrSyntax
		}
		if err != nil {
			return err
		}
	}
	s, err := tx.Stream(key)
	if err != nil {
		return err
	}
	if !s.Exists() {
		return command.ErrNoSuchKey
	}
	head := s.Head()
	top, any := s.Top()
	switch {
	case last.Compare(head.Deleted) < 0:
		return errSetBelow
	case any && last.Compare(top) < 0:
		return errSetTop
	case any && added != -1 && s.Len() > added:
		return errSetAdded
	}
	head.Last = last
	if added != -1 {
		head.Added = uint64(added)
	}
	if deleted != (keyspace.StreamID{}) {
		head.Deleted = deleted
	}
	s.SetHead(head)
	s.End()
	r.OK()
	return nil
}
