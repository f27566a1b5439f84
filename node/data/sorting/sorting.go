package sorting

import (
	"bytes"
	"cmp"
	"iter"
	"math"
	"slices"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data/option"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
)

// query is what the arguments ask for.
type query struct {
	key           []byte
	by            *pattern // nil: the elements are compared themselves
	constant      bool     // BY something without a star: nothing is sorted
	gets          []pattern
	alpha, desc   bool
	offset, count int64 // of LIMIT; a negative count is all
	destination   []byte
	stored        bool
}

// parse takes the arguments of SORT or, readOnly, SORT_RO.
func parse(args *command.Args, readOnly bool) (*query, error) {
	q := &query{key: args.Next(), count: -1}
	for args.More() {
		var err error
		switch {
		case args.Is("asc"):
			q.desc = false
		case args.Is("desc"):
			q.desc = true
		case args.Is("alpha"):
			q.alpha = true
		case args.IsWith("limit", 2):
			if q.offset, err = args.Int(); err == nil {
				q.count, err = args.Int()
			}
		case !readOnly && args.IsWith("store", 1):
			q.destination, q.stored = args.Next(), true
		case args.IsWith("by", 1):
			err = q.takeBy(args.Next())
		case args.IsWith("get", 1):
			err = q.takeGet(args.Next())
		default:
			err = command.ErrSyntax
		}
		if err != nil {
			return nil, err
		}
	}
	return q, nil
}

const denied = " option of SORT denied in Cluster mode when keys formed by the pattern may be in different slots."

// here reports whether all keys that a pattern forms are in the slot of the query's.
func (q *query) here(pattern []byte) bool {
	s, ok := slotOf(pattern)
	return ok && s == slot.Of(q.key)
}

func (q *query) takeBy(text []byte) error {
	p := parsePattern(text)
	if !p.varies {
		q.constant = true
		return nil
	}
	if !q.here(text) {
		return resp.Error("ERR BY" + denied)
	}
	q.by = &p
	return nil
}

func (q *query) takeGet(text []byte) error {
	p := parsePattern(text)
	if !p.itself && !q.here(text) {
		return resp.Error("ERR GET" + denied)
	}
	q.gets = append(q.gets, p)
	return nil
}

// source is what is sorted.
type source struct {
	length int64
	// from yields elements from a position on; a set has no positions, and yields all.
	from    func(position int64, reverse bool) iter.Seq[[]byte]
	ordered bool // it is no set
}

func (q *query) source(v *keyspace.View) (s source, err error) {
	m, found := v.Lookup(q.key)
	if !found {
		return source{from: func(int64, bool) iter.Seq[[]byte] { return slices.Values[[][]byte](nil) }}, nil
	}
	switch m.Type {
	case keyspace.TypeList:
		list, _, err := v.List(q.key)
		return source{list.Len(), list.From, true}, err
	case keyspace.TypeSet:
		set, _, err := v.Set(q.key)
		return source{set.Len(), func(int64, bool) iter.Seq[[]byte] { return set.Members() }, false}, err
	case keyspace.TypeSortedSet:
		set, _, err := v.SortedSet(q.key)
		members := func(position int64, reverse bool) iter.Seq[[]byte] {
			return func(yield func([]byte) bool) {
				for member := range set.From(position, reverse) {
					if !yield(member) {
						return
					}
				}
			}
		}
		return source{set.Len(), members, true}, err
	default:
		return source{}, command.ErrWrongType
	}
}

// bounds returns which of so many elements LIMIT leaves, once they are sorted.
func (q *query) bounds(length int64) (from, to int64) {
	from, to = min(max(q.offset, 0), length), length
	if q.count >= 0 {
		to = from + min(q.count, length-from)
	}
	return from, to
}

// item is an element and what it is compared by.
type item struct {
	element []byte
	score   float64
	text    []byte // of ALPHA
	has     bool   // there is a text
}

// run returns the elements that the query asks for, in order. It is false where m does
// not allow for what it holds.
func (q *query) run(v *keyspace.View, m *command.Memory) (elements [][]byte, ok bool, err error) {
	s, err := q.source(v)
	if err != nil {
		return nil, false, err
	}
	from, to := q.bounds(s.length)
	by, alpha, sorted := q.by, q.alpha, !q.constant
	if q.constant && q.stored && !s.ordered {
		by, alpha, sorted = nil, true, true // as in Redis: what is stored must not be in any order
	}
	if !sorted && s.ordered {
		start := from
		if q.desc {
			start = s.length - 1 - from
		}
		elements, ok = take(s.from(start, q.desc), to-from, m)
		return elements, ok, nil
	}
	if elements, ok = take(s.from(0, false), s.length, m); !ok || !sorted {
		return elements[min(from, int64(len(elements))):min(to, int64(len(elements)))], ok, nil
	}
	const itemSize = 64
	if !m.Take(itemSize * len(elements)) {
		return nil, false, nil
	}
	items := make([]item, len(elements))
	for i, element := range elements {
		if items[i], err = weigh(v, by, alpha, element); err != nil {
			return nil, false, err
		}
	}
	order := item.byScore
	if alpha {
		order = item.byText
	}
	slices.SortStableFunc(items, func(a, b item) int {
		if q.desc {
			a, b = b, a
		}
		return order(a, b)
	})
	for i := range elements {
		elements[i] = items[i].element
	}
	return elements[from:to], true, nil
}

// take returns the first n elements of seq.
func take(seq iter.Seq[[]byte], n int64, m *command.Memory) (elements [][]byte, ok bool) {
	const elementSize = 24
	if n <= 0 {
		return nil, true
	}
	if !m.Take(int(n) * elementSize) {
		return nil, false
	}
	elements = make([][]byte, 0, n)
	for element := range seq {
		elements = append(elements, element)
		if n--; n == 0 {
			break
		}
	}
	return elements, true
}

// weigh finds what an element is compared by. Where BY leads nowhere, that is 0, or less
// than any text.
func weigh(v *keyspace.View, by *pattern, alpha bool, element []byte) (item, error) {
	it := item{element: element, text: element, has: true}
	if by != nil {
		it.text, it.has = by.lookup(v, element)
	}
	if alpha || !it.has {
		return it, nil
	}
	score, n, outOfRange := option.Strtod(it.text)
	if n < len(it.text) && it.text[n] != 0 || outOfRange || math.IsNaN(score) {
		return it, command.Errorf("One or more scores can't be converted into double")
	}
	it.score = score
	return it, nil
}

func (it item) byScore(other item) int {
	return cmp.Or(cmp.Compare(it.score, other.score), bytes.Compare(it.element, other.element))
}

// byText puts elements without a text first. Those that have the same one stay in the
// order in which they were.
func (it item) byText(other item) int {
	switch {
	case it.has && !other.has:
		return 1
	case !it.has && other.has:
		return -1
	default:
		return bytes.Compare(it.text, other.text)
	}
}

func sortRead(v *command.View, args *command.Args, r *resp.Reply) error {
	return answer(v, args, false, r)
}

func sortReadOnly(v *command.View, args *command.Args, r *resp.Reply) error {
	return answer(v, args, true, r)
}

func answer(v *command.View, args *command.Args, readOnly bool, r *resp.Reply) error {
	q, err := parse(args, readOnly)
	if err != nil {
		return err
	}
	elements, ok, err := q.run(v.View, v.Memory)
	if err != nil || !ok {
		return err
	}
	r.Array(len(elements) * max(len(q.gets), 1))
	for _, element := range elements {
		if r.Full() {
			break
		}
		if len(q.gets) == 0 {
			r.Bulk(element)
		}
		for i := range q.gets {
			if value, found := q.gets[i].lookup(v.View, element); found {
				r.Bulk(value)
			} else {
				r.Null()
			}
		}
	}
	return nil
}

func sortStore(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	q, err := parse(args, false)
	if err != nil {
		return err
	}
	v := &tx.Tx.View
	values, _, err := q.run(v, nil)
	if err != nil {
		return err
	}
	if len(q.gets) > 0 {
		elements := values
		values = make([][]byte, 0, len(elements)*len(q.gets))
		for _, element := range elements {
			for i := range q.gets {
				value, _ := q.gets[i].lookup(v, element) // nothing is stored as an empty one
				values = append(values, value)
			}
		}
	}
	tx.Delete(q.destination)
	list, err := tx.List(q.destination)
	if err != nil {
		return err
	}
	list.PushBack(values...)
	r.Int(int64(len(values)))
	return nil
}
