package slot

import (
	"testing"
)

func TestOf(t *testing.T) {
	// Values printed by CLUSTER KEYSLOT of Redis 7.0.15.
	cases := map[string]uint16{
		"": 0, "foo": 12182, "bar": 5061, "123456789": 12739,
		"{user1000}.following": 3443, "{user1000}.followers": 3443,
		"foo{}{bar}": 8363, "foo{{bar}}zap": 4015, "foo{bar}{zap}": 5061,
	}
	for key, want := range cases {
		if got := Of([]byte(key)); got != want {
			t.Errorf("Of(%q) = %d, want %d", key, got, want)
		}
	}
}

func TestSetRanges(t *testing.T) {
	s := FromRanges([]Range{{0, 2}, {64, 64}, {3, 5}, {16383, 16383}})
	if got, want := s.String(), "0-5 64 16383"; got != want {
		t.Errorf("ranges %q, want %q", got, want)
	}
	if got := s.Len(); got != 8 {
		t.Errorf("Len() = %d, want 8", got)
	}
	s.Remove(64)
	if s.Has(64) || !s.Has(5) {
		t.Error("Remove took out the wrong slot")
	}
	full := Full()
	if full.Len() != Count || full.String() != "0-16383" {
		t.Errorf("Full() = %s", full)
	}
	if n, ok := full.Intersects(&s); !ok || n != 0 {
		t.Errorf("Intersects = %d, %v", n, ok)
	}
}
