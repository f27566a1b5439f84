package sortedsets

import (
	"math"
	"slices"
	"testing"
)

func TestParseScoreBound(t *testing.T) {
	for text, want := range map[string]scoreBound{
		"": {}, "(": {exclusive: true}, "1": {score: 1}, "(1": {1, true}, " 1": {score: 1}, "( 1": {1, true},
		"1\x00junk": {score: 1}, "1e999": {score: math.Inf(1)}, "(-inf": {math.Inf(-1), true}, "1e-999": {},
	} {
		if got, ok := parseScoreBound([]byte(text)); !ok || got != want {
			t.Errorf("%q: %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"1 ", "[1", "((1", "nan", "(nan", "nan(1)", "x", " ", "1e", "-"} {
		if got, ok := parseScoreBound([]byte(text)); ok {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestParseLexBound(t *testing.T) {
	for text, want := range map[string]lexBound{
		"-": {side: -1, exclusive: true}, "+": {side: 1, exclusive: true}, "+\x00x": {side: 1, exclusive: true},
		"[": {member: []byte{}}, "[a": {member: []byte("a")}, "(a": {member: []byte("a"), exclusive: true},
		"[-": {member: []byte("-")},
	} {
		got, ok := parseLexBound([]byte(text))
		if !ok || string(got.member) != string(want.member) || got.exclusive != want.exclusive || got.side != want.side {
			t.Errorf("%q: %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "a", "+a", "--", "1", "]a"} {
		if got, ok := parseLexBound([]byte(text)); ok {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// line is a sorted set of the elements with these scores and members, in order.
type line struct {
	scores  []float64
	members []string
}

func (l line) Len() int64 { return int64(max(len(l.scores), len(l.members))) }

func (l line) FirstByScore(score float64, more bool) int64 {
	i := slices.IndexFunc(l.scores, func(s float64) bool { return s > score || s == score && !more })
	if i < 0 {
		return l.Len()
	}
	return int64(i)
}

func (l line) FirstByMember(member []byte, more bool) int64 {
	i := slices.IndexFunc(l.members, func(m string) bool { return m > string(member) || m == string(member) && !more })
	if i < 0 {
		return l.Len()
	}
	return int64(i)
}

func TestBetween(t *testing.T) {
	scores := line{scores: []float64{math.Inf(-1), 1, 1, 2, math.Inf(1)}}
	for _, c := range []struct {
		lowest, highest string
		from, to        int64
	}{
		{"-inf", "+inf", 0, 5},
		{"(-inf", "(inf", 1, 4},
		{"1", "1", 1, 3},
		{"(1", "1", 3, 3},
		{"1", "(1", 1, 1},
		{"2", "1", 3, 3},
		{"1.5", "9", 3, 4},
		{"inf", "inf", 4, 5},
		{"(inf", "inf", 5, 5},
	} {
		s, err := parseRange(byScore, []byte(c.lowest), []byte(c.highest))
		if from, to := s.of(scores); err != nil || from != c.from || to != c.to {
			t.Errorf("scores %s to %s: %d to %d", c.lowest, c.highest, from, to)
		}
	}
	members := line{members: []string{"", "a", "b", "ba"}}
	for _, c := range []struct {
		lowest, highest string
		from, to        int64
	}{
		{"-", "+", 0, 4},
		{"+", "-", 4, 4},
		{"-", "-", 0, 0},
		{"+", "+", 4, 4},
		{"[", "(b", 0, 2},
		{"(", "[b", 1, 3},
		{"(b", "[b", 3, 3},
		{"[b", "[a", 2, 2},
		{"(a", "+", 2, 4},
	} {
		s, err := parseRange(byLex, []byte(c.lowest), []byte(c.highest))
		if from, to := s.of(members); err != nil || from != c.from || to != c.to {
			t.Errorf("members %s to %s: %d to %d", c.lowest, c.highest, from, to)
		}
	}
}

func TestLimited(t *testing.T) {
	for _, c := range []struct {
		offset, count int64
		reverse       bool
		from, to      int64
	}{
		{0, -1, false, 10, 20},
		{3, -5, false, 13, 20},
		{3, 2, false, 13, 15},
		{3, 2, true, 15, 17},
		{0, 0, false, 10, 10},
		{-1, 5, false, 10, 10},
		{10, 1, true, 10, 10},
		{9, math.MaxInt64, true, 10, 11},
		{math.MaxInt64, 1, false, 10, 10},
	} {
		if from, to := limited(10, 20, c.offset, c.count, c.reverse); from != c.from || to != c.to {
			t.Errorf("LIMIT %d %d, reverse %v: %d to %d", c.offset, c.count, c.reverse, from, to)
		}
	}
}

func TestAggregate(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		how        aggregate
		a, b, want float64
	}{
		{aggregateSum, 1, 2, 3},
		{aggregateSum, inf, -inf, 0},
		{aggregateSum, 5, nan, 0},
		{aggregateSum, inf, 1, inf},
		{aggregateMin, 1, 2, 1},
		{aggregateMin, 2, -inf, -inf},
		{aggregateMin, 3, nan, 3},
		{aggregateMax, 1, 2, 2},
		{aggregateMax, inf, 2, inf},
		{aggregateMax, 3, nan, 3},
	} {
		if got := c.how.of(c.a, c.b); got != c.want {
			t.Errorf("%d of %v and %v is %v", c.how, c.a, c.b, got)
		}
	}
	if got := numberOrZero(weighted(inf, 0)); got != 0 {
		t.Errorf("infinity times nothing is %v", got)
	}
}
