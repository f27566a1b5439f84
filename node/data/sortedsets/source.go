package sortedsets

import (
	"errors"
	"iter"

	"github.com/genuineh/aikv/node/keyspace"
)

// scored is a set that is combined with others: a sorted one, or one whose members all
// have the score 1. A key that does not exist is an empty one.
type scored interface {
	Len() int64
	Score(member []byte) (score float64, ok bool)
	all() iter.Seq2[[]byte, float64]
}

type sortedSource struct{ keyspace.SortedSetView }

func (s sortedSource) all() iter.Seq2[[]byte, float64] { return s.From(0, false) }

type plainSource struct{ keyspace.SetView }

func (s plainSource) Score(member []byte) (score float64, ok bool) { return 1, s.Has(member) }

func (s plainSource) all() iter.Seq2[[]byte, float64] {
	return func(yield func([]byte, float64) bool) {
		for member := range s.Members() {
			if !yield(member, 1) {
				return
			}
		}
	}
}

// scoredAt returns the set of a key, of either type.
func scoredAt(v *keyspace.View, key []byte) (scored, error) {
	sorted, _, err := v.SortedSet(key)
	if !errors.Is(err, keyspace.ErrWrongType) {
		return sortedSource{sorted}, err
	}
	plain, _, err := v.Set(key)
	return plainSource{plain}, err
}
