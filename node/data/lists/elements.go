package lists

import (
	"bytes"
	"math"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

const (
	errIndex      = resp.Error("ERR index out of range")
	errRankZero   = resp.Error("ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list")
	errCountBelow = resp.Error("ERR COUNT can't be negative")
	errMaxBelow   = resp.Error("ERR MAXLEN can't be negative")
)

func llen(v *command.View, args *command.Args, r *resp.Reply) error {
	list, _, err := v.List(args.Next())
	if err != nil {
		return err
	}
	r.Int(list.Len())
	return nil
}

// position turns an index, which counts from the end if it is negative, into a
// position, at which there need not be an element.
func position(index int64, list keyspace.ListView) int64 {
	if index < 0 {
		return index + list.Len()
	}
	return index
}

// lindex looks at the index only if there is a list, as Redis does.
func lindex(v *command.View, args *command.Args, r *resp.Reply) error {
	list, found, err := v.List(args.Next())
	if err != nil {
		return err
	}
	if !found {
		r.Null()
		return nil
	}
	index, err := args.Int()
	if err != nil {
		return err
	}
	if element, ok := list.At(position(index, list)); ok {
		r.Bulk(element)
	} else {
		r.Null()
	}
	return nil
}

func lset(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	list, err := tx.List(args.Next())
	switch {
	case err != nil:
		return err
	case list.Len() == 0:
		return command.ErrNoSuchKey
	}
	index, err := args.Int()
	if err != nil {
		return err
	}
	if !list.Set(position(index, list.ListView), args.Next()) {
		return errIndex
	}
	r.OK()
	return nil
}

func linsert(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	behind := args.Is("after")
	if !behind && !args.Is("before") {
		return command.ErrSyntax
	}
	list, err := tx.List(key)
	if err != nil {
		return err
	}
	pivot, element := args.Next(), args.Next()
	if list.Len() == 0 {
		r.Int(0)
		return nil
	}
	at := int64(0)
	for e := range list.From(0, false) {
		if bytes.Equal(e, pivot) {
			break
		}
		at++
	}
	if at == list.Len() {
		r.Int(-1)
		return nil
	}
	if behind {
		at++
	}
	list.Insert(at, element)
	r.Int(list.Len())
	return nil
}

// search says which elements LPOS looks for.
type search struct {
	rank    int64 // of the first match that counts, from 1
	reverse bool  // from the end
	// count is the most matches that are wanted, 0: all; without counted, one is.
	count   int64
	counted bool
	most    int64 // the most elements that are looked at
}

func parseSearch(args *command.Args) (s search, err error) {
	s = search{rank: 1, most: math.MaxInt64}
	for args.More() {
		switch {
		case args.IsWith("rank", 1):
			if s.rank, err = args.IntWithin(-math.MaxInt64, math.MaxInt64); err != nil {
				return s, err
			}
			if s.rank == 0 {
				return s, errRankZero
			}
			if s.reverse = s.rank < 0; s.reverse {
				s.rank = -s.rank
			}
		case args.IsWith("count", 1):
			var ok bool
			if s.count, ok = command.ParseInt(args.Next()); !ok || s.count < 0 {
				return s, errCountBelow
			}
			s.counted = true
		case args.IsWith("maxlen", 1):
			n, ok := command.ParseInt(args.Next())
			if !ok || n < 0 {
				return s, errMaxBelow
			}
			if s.most = n; n == 0 {
				s.most = math.MaxInt64
			}
		default:
			return s, command.ErrSyntax
		}
	}
	return s, nil
}

func lpos(v *command.View, args *command.Args, r *resp.Reply) error {
	key, element := args.Next(), args.Next()
	s, err := parseSearch(args)
	if err != nil {
		return err
	}
	list, _, err := v.List(key)
	if err != nil {
		return err
	}
	start, wanted := r.Here(), s.count
	if !s.counted {
		wanted = 1
	}
	found := int64(0)
	for at := range s.matches(list, element) {
		if r.Int(at); r.Full() {
			break
		}
		if found++; found == wanted {
			break
		}
	}
	switch {
	case s.counted:
		r.ArrayAt(start, int(found))
	case found == 0:
		r.Null()
	}
	return nil
}

// matches yields the positions of the matches that count.
func (s *search) matches(list keyspace.ListView, element []byte) func(yield func(int64) bool) {
	return func(yield func(int64) bool) {
		at, step := int64(0), int64(1)
		if s.reverse {
			at, step = list.Len()-1, -1
		}
		left, rank := s.most, s.rank
		for e := range list.From(at, s.reverse) {
			if bytes.Equal(e, element) {
				if rank--; rank <= 0 && !yield(at) {
					return
				}
			}
			at += step
			if left--; left == 0 {
				return
			}
		}
	}
}
