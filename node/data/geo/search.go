package geo

import (
	"cmp"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data/sortedsets"
	"github.com/genuineh/aikv/node/resp"
)

// hit is a member that a search has found.
type hit struct {
	member   []byte
	score    float64
	place    place
	distance float64 // in m, if the query needs it
}

// hitSize is about what a hit takes in memory beside its member.
const hitSize = 64

// compare compares hits as they are sorted.
func (o order) compare(a, b *hit) int {
	if o == farthestFirst {
		a, b = b, a
	}
	return cmp.Compare(a.distance, b.distance)
}

// hits returns what the query finds, in its order. It is false if m does not allow
// for so much.
func (q *query) hits(m *command.Memory) (found []hit, ok bool) {
	if !q.found {
		return nil, true
	}
	most := int64(0)
	if q.any {
		most = q.count
	}
	shape := q.measure()
	distances := q.order != unsorted || q.withDist || q.storeDist
	for _, c := range q.cells() {
		from, to := c.scores()
		for member, score := range q.set.From(q.set.FirstByScore(from, false), false) {
			if score >= to {
				break
			}
			at := placeOfScore(score)
			if !shape.contains(at) {
				continue
			}
			h := hit{member: member, score: score, place: at}
			if distances {
				h.distance = distance(q.center, at)
			}
			if !m.Take(hitSize + len(member)) {
				return nil, false
			}
			if found = append(found, h); int64(len(found)) == most {
				return q.sorted(found), true
			}
		}
	}
	return q.sorted(found), true
}

// sorted brings hits into the query's order, and returns as many as it wants.
func (q *query) sorted(found []hit) []hit {
	wanted := len(found)
	if q.count != 0 && q.count < int64(wanted) {
		wanted = int(q.count)
	}
	if q.order != unsorted {
		sortFirst(found, wanted, q.order.compare)
	}
	return found[:wanted]
}

func search(v *command.View, args *command.Args, d dialect, r *resp.Reply) error {
	q, err := parseQuery(v.View, args, d)
	if err != nil {
		return err
	}
	hits, ok := q.hits(v.Memory)
	if !ok {
		return nil
	}
	q.write(hits, r)
	return nil
}

func searchStore(tx *command.Tx, args *command.Args, d dialect, r *resp.Reply) error {
	q, err := parseQuery(&tx.Tx.View, args, d)
	if err != nil {
		return err
	}
	hits, _ := q.hits(nil)
	if !q.store {
		q.write(hits, r)
		return nil
	}
	elements := make([]sortedsets.Element, len(hits))
	for i, h := range hits {
		elements[i] = sortedsets.Element{Member: h.member, Score: h.score}
		if q.storeDist {
			elements[i].Score = h.distance / q.unit
		}
	}
	return sortedsets.Store(tx, q.target, elements, r)
}

// write writes the hits as a list.
func (q *query) write(hits []hit, r *resp.Reply) {
	parts := 1
	for _, wanted := range []bool{q.withDist, q.withHash, q.withCoord} {
		if wanted {
			parts++
		}
	}
	r.Array(len(hits))
	for _, h := range hits {
		if r.Full() {
			break
		}
		if parts > 1 {
			r.Array(parts)
		}
		r.Bulk(h.member)
		if q.withDist {
			writeDistance(r, h.distance/q.unit)
		}
		if q.withHash {
			r.Int(scoreInt(h.score))
		}
		if q.withCoord {
			writePlace(r, h.place)
		}
	}
}

func geosearch(v *command.View, args *command.Args, r *resp.Reply) error {
	return search(v, args, dialect{}, r)
}

func geosearchstore(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return searchStore(tx, args, dialect{targets: true}, r)
}

func georadius(v *command.View, args *command.Args, r *resp.Reply) error {
	return search(v, args, dialect{circle: true, stores: true}, r)
}

func georadiusStore(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return searchStore(tx, args, dialect{circle: true, stores: true}, r)
}

func georadiusRO(v *command.View, args *command.Args, r *resp.Reply) error {
	return search(v, args, dialect{circle: true}, r)
}

func georadiusByMember(v *command.View, args *command.Args, r *resp.Reply) error {
	return search(v, args, dialect{circle: true, member: true, stores: true}, r)
}

func georadiusByMemberStore(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return searchStore(tx, args, dialect{circle: true, member: true, stores: true}, r)
}

func georadiusByMemberRO(v *command.View, args *command.Args, r *resp.Reply) error {
	return search(v, args, dialect{circle: true, member: true}, r)
}

// stores reports whether a command of GEORADIUS's has one of the options that make it
// store what it finds, and so write. A word that only looks like one, as that behind COUNT,
// makes the command invalid, which either handler says.
func stores(args [][]byte) bool {
	const options = 5 // of GEORADIUSBYMEMBER; before it, GEORADIUS has its unit
	for _, arg := range args[options:] {
		if command.Is(arg, "store") || command.Is(arg, "storedist") {
			return true
		}
	}
	return false
}
