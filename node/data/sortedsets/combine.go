package sortedsets

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// operation is what sets are combined by.
type operation uint8

const (
	union operation = iota
	intersection
	difference
)

// source is a set that is combined with others, and its weight.
type source struct {
	set    scored
	weight float64
}

// combination is what the arguments of ZUNION's family ask for.
type combination struct {
	operation  operation
	sources    []source
	how        aggregate
	withScores bool
	limit      int64 // of ZINTERCARD; 0: none
}

// form is how a command of the family differs from the others beside its operation.
type form struct {
	stores bool // it has no WITHSCORES
	counts bool // ZINTERCARD: it has no options but LIMIT
}

// parseCombination takes a number of keys, the keys and the options. Keys of another
// type are an error even where the options are wrong, as in Redis.
func parseCombination(v *keyspace.View, args *command.Args, op operation, f form) (*combination, error) {
	n, err := args.Int()
	switch {
	case err != nil:
		return nil, err
	case n < 1:
		return nil, command.Errorf("at least 1 input key is needed for '%s' command", args.Name())
	case n > int64(args.Len()):
		return nil, command.ErrSyntax
	}
	c := &combination{operation: op, sources: make([]source, n)}
	for i := range c.sources {
		set, err := scoredAt(v, args.Next())
		if err != nil {
			return nil, err
		}
		c.sources[i] = source{set, 1}
	}
	for args.More() {
		if err := c.option(args, f); err != nil {
			return nil, err
		}
	}
	if op != difference {
		// The smallest first; scores are added in this order, too.
		slices.SortStableFunc(c.sources, func(a, b source) int { return cmp.Compare(a.set.Len(), b.set.Len()) })
	}
	return c, nil
}

// option takes one option.
func (c *combination) option(args *command.Args, f form) error {
	aggregates := c.operation != difference && !f.counts
	switch {
	case aggregates && args.IsWith("weights", len(c.sources)):
		for i := range c.sources {
			weight, ok := command.ParseFloat(args.Next())
			if !ok {
				return command.Errorf("weight value is not a float")
			}
			c.sources[i].weight = weight
		}
	case aggregates && args.IsWith("aggregate", 1):
		switch {
		case args.Is("sum"):
			c.how = aggregateSum
		case args.Is("min"):
			c.how = aggregateMin
		case args.Is("max"):
			c.how = aggregateMax
		default:
			return command.ErrSyntax
		}
	case !f.stores && !f.counts && args.Is("withscores"):
		c.withScores = true
	case f.counts && args.IsWith("limit", 1):
		limit, ok := command.ParseInt(args.Next())
		if !ok || limit < 0 {
			return command.Errorf("LIMIT can't be negative")
		}
		c.limit = limit
	default:
		return command.ErrSyntax
	}
	return nil
}

// elementSize is about what an element takes in memory beside its member.
const elementSize = 96

// before compares elements as sorted sets order them.
func (e Element) before(other Element) int {
	if order := cmp.Compare(e.Score, other.Score); order != 0 {
		return order
	}
	return bytes.Compare(e.Member, other.Member)
}

// evaluate returns the elements of the combination in order. It is false if m does not
// allow for so many.
func (c *combination) evaluate(m *command.Memory) (elements []Element, ok bool) {
	add := func(e Element) bool {
		elements = append(elements, e)
		return m.Take(elementSize + len(e.Member))
	}
	switch c.operation {
	case union:
		elements, ok = c.unite(m)
	case intersection:
		ok = c.intersect(add)
	default:
		ok = c.subtract(add)
	}
	slices.SortFunc(elements, Element.before)
	return elements, ok
}

// unite returns all elements of the sources, each once, in any order that depends on
// them alone.
func (c *combination) unite(m *command.Memory) (elements []Element, ok bool) {
	at := make(map[string]int)
	for _, s := range c.sources {
		for member, score := range s.set.all() {
			score = numberOrZero(weighted(score, s.weight))
			i, seen := at[string(member)]
			if seen {
				elements[i].Score = c.how.of(elements[i].Score, score)
				continue
			}
			at[string(member)] = len(elements)
			elements = append(elements, Element{member, score})
			if !m.Take(elementSize + 2*len(member)) {
				return nil, false
			}
		}
	}
	return elements, true
}

// intersect hands the elements that all sources have to yield, until that returns
// false, which it reports.
func (c *combination) intersect(yield func(Element) bool) (ok bool) {
	first, others := c.sources[0], c.sources[1:]
	if first.set.Len() == 0 {
		return true
	}
candidates:
	for member, score := range first.set.all() {
		total := numberOrZero(weighted(score, first.weight))
		for _, s := range others {
			score, found := s.set.Score(member)
			if !found {
				continue candidates
			}
			total = c.how.of(total, weighted(score, s.weight))
		}
		if !yield(Element{member, total}) {
			return false
		}
	}
	return true
}

// subtract is intersect for the elements of the first source that no other one has.
func (c *combination) subtract(yield func(Element) bool) (ok bool) {
	first, others := c.sources[0], c.sources[1:]
	for member, score := range first.set.all() {
		among := func(s source) bool {
			_, found := s.set.Score(member)
			return found
		}
		if !slices.ContainsFunc(others, among) && !yield(Element{member, score}) {
			return false
		}
	}
	return true
}

func zunion(v *command.View, args *command.Args, r *resp.Reply) error {
	return combine(v, args, union, r)
}

func zinter(v *command.View, args *command.Args, r *resp.Reply) error {
	return combine(v, args, intersection, r)
}

func zdiff(v *command.View, args *command.Args, r *resp.Reply) error {
	return combine(v, args, difference, r)
}

func combine(v *command.View, args *command.Args, op operation, r *resp.Reply) error {
	c, err := parseCombination(v.View, args, op, form{})
	if err != nil {
		return err
	}
	elements, ok := c.evaluate(v.Memory)
	if !ok {
		return nil
	}
	writeHead(r, len(elements), c.withScores)
	for _, e := range elements {
		if r.Full() {
			break
		}
		writeElement(r, e.Member, e.Score, c.withScores)
	}
	return nil
}

// zintercard stops where the limit is reached.
func zintercard(v *command.View, args *command.Args, r *resp.Reply) error {
	c, err := parseCombination(v.View, args, intersection, form{counts: true})
	if err != nil {
		return err
	}
	n := int64(0)
	c.intersect(func(Element) bool {
		n++
		return n != c.limit
	})
	r.Int(n)
	return nil
}

func zunionstore(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return combineStore(tx, args, union, r)
}

func zinterstore(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return combineStore(tx, args, intersection, r)
}

func zdiffstore(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return combineStore(tx, args, difference, r)
}

func combineStore(tx *command.Tx, args *command.Args, op operation, r *resp.Reply) error {
	key := args.Next()
	c, err := parseCombination(&tx.Tx.View, args, op, form{stores: true})
	if err != nil {
		return err
	}
	elements, _ := c.evaluate(nil)
	return Store(tx, key, elements, r)
}
