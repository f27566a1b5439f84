package slot

import "testing"

// The tags are those of Valkey 9.1, which CLUSTERSCAN 0 SLOT n tells.
func TestTag(t *testing.T) {
	for n, want := range map[uint16]string{
		0: "06S", 1: "Qi", 2: "5L5", 3: "4Iu", 4: "4gY", 5: "460", 6: "1Y7", 9: "ru", 100: "0or", 16383: "6ZJ",
	} {
		if got := Tag(n); got != want {
			t.Errorf("slot %d: %q, want %q", n, got, want)
		}
	}
	for n := range uint16(Count) {
		if Of([]byte(Tag(n))) != n {
			t.Fatalf("%q is no tag of slot %d", Tag(n), n)
		}
	}
}
