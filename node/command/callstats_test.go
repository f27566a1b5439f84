package command

import (
	"testing"
	"time"
)

// A bucket's longest latency is in the bucket, the next nanosecond is not, and
// is an eighth longer than the shortest at most.
func TestLatencyBuckets(t *testing.T) {
	for bucket := range latencyBuckets {
		longest := latencyOf(bucket)
		if got := latencyBucket(longest); got != bucket {
			t.Fatalf("%d ns are in bucket %d, not %d", longest, got, bucket)
		}
		if bucket+1 == latencyBuckets {
			break
		}
		if got := latencyBucket(longest + 1); got != bucket+1 {
			t.Fatalf("%d ns are in bucket %d, not %d", longest+1, got, bucket+1)
		}
		if width := latencyOf(bucket+1) - longest; width > longest/8+1 {
			t.Fatalf("bucket %d is %d ns wide at %d", bucket+1, width, longest)
		}
	}
	if got := latencyBucket(-1); got != 0 {
		t.Errorf("a clock that went back counts in bucket %d", got)
	}
	if got := latencyBucket(time.Hour); got != latencyBuckets-1 {
		t.Errorf("an hour counts in bucket %d", got)
	}
}
