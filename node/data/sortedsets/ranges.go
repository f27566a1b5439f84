package sortedsets

import (
	"math"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data/option"
	"github.com/genuineh/aikv/node/resp"
)

const (
	errScoreRange = resp.Error("ERR min or max is not a float")
	errLexRange   = resp.Error("ERR min or max not valid string range item")
)

// rangeKind is what a range of elements is given by.
type rangeKind uint8

const (
	byRank rangeKind = iota
	byScore
	byLex
)

// rangeSpec is a range of elements, before it is known where they stand.
type rangeSpec struct {
	kind                 rangeKind
	first, last          int64
	minScore, maxScore   scoreBound
	minMember, maxMember lexBound
}

// parseRange reads the ends of a range.
func parseRange(kind rangeKind, lowest, highest []byte) (s rangeSpec, err error) {
	s.kind = kind
	var ok1, ok2 bool
	switch kind {
	case byScore:
		s.minScore, ok1 = parseScoreBound(lowest)
		s.maxScore, ok2 = parseScoreBound(highest)
		err = errScoreRange
	case byLex:
		s.minMember, ok1 = parseLexBound(lowest)
		s.maxMember, ok2 = parseLexBound(highest)
		err = errLexRange
	default:
		s.first, ok1 = command.ParseInt(lowest)
		s.last, ok2 = command.ParseInt(highest)
		err = command.ErrNotInteger
	}
	if ok1 && ok2 {
		err = nil
	}
	return s, err
}

// of returns the positions of the range's elements in a set: the first one, and the
// one behind the last. They are equal if there is none.
func (s *rangeSpec) of(set places) (from, to int64) {
	switch s.kind {
	case byScore:
		from = set.FirstByScore(s.minScore.score, s.minScore.exclusive)
		to = set.FirstByScore(s.maxScore.score, !s.maxScore.exclusive)
	case byLex:
		from = lexPosition(set, s.minMember, s.minMember.exclusive)
		to = lexPosition(set, s.maxMember, !s.maxMember.exclusive)
	default:
		return option.Positions(s.first, s.last, set.Len())
	}
	return from, max(from, to)
}

// scoreBound is one end of a range of scores.
type scoreBound struct {
	score     float64
	exclusive bool
}

// parseScoreBound reads an end of a range of scores: a number, after "(" if it
// does not belong to the range. As in Redis, nothing at all is 0, white space
// may stand before the number, and what follows a zero byte does not count.
func parseScoreBound(b []byte) (bound scoreBound, ok bool) {
	if len(b) > 0 && b[0] == '(' {
		bound.exclusive = true
		b = b[1:]
	}
	score, n, _ := option.Strtod(b)
	if n < len(b) && b[n] != 0 || math.IsNaN(score) {
		return bound, false
	}
	bound.score = score
	return bound, true
}

// lexBound is one end of a range of members. A side other than 0 stands for
// what is before (-1) or behind (+1) every member.
type lexBound struct {
	member    []byte
	exclusive bool
	side      int
}

// parseLexBound reads an end of a range of members: "-", "+", or a member after
// "[" or, if it does not belong to the range, "(".
func parseLexBound(b []byte) (bound lexBound, ok bool) {
	if len(b) == 0 {
		return bound, false
	}
	rest := b[1:]
	alone := len(rest) == 0 || rest[0] == 0 // as C ends a text
	switch {
	case b[0] == '-' && alone:
		return lexBound{side: -1, exclusive: true}, true
	case b[0] == '+' && alone:
		return lexBound{side: 1, exclusive: true}, true
	case b[0] == '(' || b[0] == '[':
		return lexBound{member: rest, exclusive: b[0] == '('}, true
	default:
		return bound, false
	}
}

// places is what a range needs of a sorted set to find its ends.
type places interface {
	Len() int64
	// FirstByScore returns the position of the first element whose score is at
	// least the one given, or more than that.
	FirstByScore(score float64, more bool) int64
	// FirstByMember is the same for members, in a set whose scores are all one.
	FirstByMember(member []byte, more bool) int64
}

func lexPosition(set places, bound lexBound, more bool) int64 {
	switch {
	case bound.side < 0:
		return 0
	case bound.side > 0:
		return set.Len()
	default:
		return set.FirstByMember(bound.member, more)
	}
}

// limited narrows positions down to those that LIMIT leaves: count of them, all
// if it is negative, after the first offset ones; reverse counts from the end.
func limited(from, to, offset, count int64, reverse bool) (int64, int64) {
	size := to - from
	if offset < 0 || offset >= size {
		return from, from
	}
	left := size - offset
	if count >= 0 {
		left = min(left, count)
	}
	if reverse {
		return to - offset - left, to - offset
	}
	return from + offset, from + offset + left
}
