package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written as "64mb": b, kb, mb and gb count in
// 1024s, k, m and g in 1000s, as in redis.conf.
type Size int64

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"gb", 1 << 30},
	{"mb", 1 << 20},
	{"kb", 1 << 10},
	{"g", 1e9},
	{"m", 1e6},
	{"k", 1e3},
	{"b", 1},
}

// Bytes is the size as a plain number.
func (s Size) Bytes() int64 { return int64(s) }

// String writes the size in the largest unit that needs no fraction.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if len(u.suffix) == 2 && s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10) + "b"
}

// UnmarshalText reads a size with or without a unit.
func (s *Size) UnmarshalText(text []byte) error {
	number, factor := strings.ToLower(strings.TrimSpace(string(text))), int64(1)
	for _, u := range sizeUnits {
		if n, ok := strings.CutSuffix(number, u.suffix); ok {
			number, factor = strings.TrimSpace(n), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return fmt.Errorf(`%q is not a size such as "64mb"`, text)
	}
	*s = Size(n * factor)
	return nil
}

// OutputLimit says when a client that does not take its replies is cut off:
// when they reach Hard bytes, or Soft bytes for longer than SoftFor; 0 bytes are
// no limit. It is written as "256mb 64mb 60s".
type OutputLimit struct {
	Hard, Soft Size
	SoftFor    Duration
}

// String writes the three parts.
func (l OutputLimit) String() string { return fmt.Sprint(l.Hard, " ", l.Soft, " ", l.SoftFor) }

// UnmarshalText reads what String writes.
func (l *OutputLimit) UnmarshalText(text []byte) error {
	parts := strings.Fields(string(text))
	var read OutputLimit
	if len(parts) != 3 || read.Hard.UnmarshalText([]byte(parts[0])) != nil ||
		read.Soft.UnmarshalText([]byte(parts[1])) != nil || read.SoftFor.UnmarshalText([]byte(parts[2])) != nil {
		return fmt.Errorf(`%q is not an output limit such as "256mb 64mb 60s"`, text)
	}
	*l = read
	return nil
}

// Duration is a time span, written as "50ms".
type Duration time.Duration

// Std is the duration as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String writes the duration without zero parts: "1m", not "1m0s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// UnmarshalText reads a duration, which needs a unit.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(strings.TrimSpace(string(text)))
	if err != nil || v < 0 {
		return fmt.Errorf(`%q is not a duration such as "50ms" or "5s"`, text)
	}
	*d = Duration(v)
	return nil
}
