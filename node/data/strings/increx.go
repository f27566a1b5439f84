package strings

import (
	"math"
	"math/big"
	"strconv"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data/option"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/longdouble"
	"github.com/genuineh/aikv/node/resp"
)

const (
	errBounds          = resp.Error("ERR LBOUND can't be greater than UBOUND")
	errOnlyIfNone      = resp.Error("ERR ENX flag requires an expiration")
	errIncrement       = resp.Error("ERR BYFLOAT increment cannot be Infinity")
	errValueInfinite   = resp.Error("ERR value cannot be Infinity")
	errApplied         = resp.Error("ERR applied increment would overflow")
	errAppliedInfinite = resp.Error("ERR applied increment would be Infinity")
)

// incrExOptions are INCREX's. Of the numbers it is known only at the end what they have to
// be; those that are missing are nil.
type incrExOptions struct {
	increment, lower, upper []byte
	float, saturate         bool
	persist, onlyIfNone     bool // of the expiry
	expiry                  option.Deadline
}

// takeIncrEx takes the options. None may come twice.
func takeIncrEx(args *command.Args) (o incrExOptions, err error) {
	for args.More() {
		switch {
		case o.increment == nil && args.IsWith("byint", 1):
			o.increment = args.Next()
		case o.increment == nil && args.IsWith("byfloat", 1):
			o.increment, o.float = args.Next(), true
		case o.lower == nil && args.IsWith("lbound", 1):
			o.lower = args.Next()
		case o.upper == nil && args.IsWith("ubound", 1):
			o.upper = args.Next()
		case !o.saturate && args.Is("saturate"):
			o.saturate = true
		case !o.persist && !o.onlyIfNone && !o.expiry.Given() && args.Is("persist"):
			o.persist = true
		case !o.persist && !o.onlyIfNone && args.Is("enx"):
			o.onlyIfNone = true
		case !o.persist && !o.expiry.Given() && o.expiry.Take(args):
		default:
			return o, command.ErrSyntax
		}
	}
	if o.onlyIfNone && !o.expiry.Given() {
		return o, errOnlyIfNone
	}
	return o, nil
}

// incrEx leaves everything as it is where the sum would be out of bounds, unless it is to
// stop at them.
func incrEx(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	o, err := takeIncrEx(args)
	if err != nil {
		return err
	}
	add := o.integers
	if o.float {
		add = o.floats
	}
	change, err := add()
	if err != nil {
		return err
	}
	at := int64(0)
	if o.expiry.Given() {
		if at, err = o.expiry.At(tx.Now(), args); err != nil {
			return err
		}
	}
	m, found, err := stringAt(tx, key)
	if err != nil {
		return err
	}
	if !found {
		m.Value = []byte("0")
	}
	value, err := change(m.Value, r)
	if err != nil || value == nil {
		return err
	}
	tx.SetString(key, value, o.expireAt(m, at))
	return nil
}

// expireAt returns when the key of m is to expire, where at is what the options say.
func (o *incrExOptions) expireAt(m keyspace.Meta, at int64) int64 {
	if o.persist || o.expiry.Given() && !(o.onlyIfNone && m.ExpireAt != 0) {
		return at
	}
	return m.ExpireAt
}

// change makes a new value of an old one, nil if that is to stay, and answers what it is
// and by how much it has changed.
type change func(old []byte, r *resp.Reply) (value []byte, err error)

// integers is for integers.
func (o *incrExOptions) integers() (change, error) {
	increment, lower, upper := int64(1), int64(math.MinInt64), int64(math.MaxInt64)
	for _, number := range []struct {
		name string
		text []byte
		to   *int64
	}{{"Increment", o.increment, &increment}, {"LBOUND", o.lower, &lower}, {"UBOUND", o.upper, &upper}} {
		var ok bool
		if number.text == nil {
			continue
		}
		if *number.to, ok = command.ParseInt(number.text); !ok {
			return nil, command.Errorf("%s is not an integer or out of range", number.name)
		}
	}
	if lower > upper {
		return nil, errBounds
	}
	return func(text []byte, r *resp.Reply) ([]byte, error) {
		old, ok := command.ParseInt(text)
		if !ok {
			return nil, command.ErrNotInteger
		}
		sum := new(big.Int).Add(big.NewInt(old), big.NewInt(increment))
		low, high := sum.Cmp(big.NewInt(lower)) < 0, sum.Cmp(big.NewInt(upper)) > 0
		switch {
		case (low || high) && !o.saturate:
			r.Array(2)
			r.Int(old)
			r.Int(0)
			return nil, nil
		case low:
			sum.SetInt64(lower)
		case high:
			sum.SetInt64(upper)
		}
		applied := new(big.Int).Sub(sum, big.NewInt(old))
		if !applied.IsInt64() {
			return nil, errApplied
		}
		r.Array(2)
		r.Int(sum.Int64())
		r.Int(applied.Int64())
		return strconv.AppendInt(nil, sum.Int64(), 10), nil
	}, nil
}

// floats is for numbers with fractions, as INCRBYFLOAT counts with them.
func (o *incrExOptions) floats() (change, error) {
	increment, lower, upper := longdouble.New(), longdouble.Max(), longdouble.Max()
	lower.Neg(lower)
	for _, number := range []struct {
		name string
		text []byte
		to   **big.Float
	}{{"Increment", o.increment, &increment}, {"LBOUND", o.lower, &lower}, {"UBOUND", o.upper, &upper}} {
		var ok bool
		if number.text == nil {
			continue
		}
		if *number.to, ok = longdouble.Parse(number.text); !ok {
			return nil, command.Errorf("%s is not a valid float", number.name)
		}
	}
	switch {
	case increment.IsInf():
		return nil, errIncrement
	case lower.Cmp(upper) > 0:
		return nil, errBounds
	}
	return func(text []byte, r *resp.Reply) ([]byte, error) {
		old, ok := longdouble.Parse(text)
		switch {
		case !ok:
			return nil, command.ErrNotFloat
		case old.IsInf():
			return nil, errValueInfinite
		}
		sum, inRange := longdouble.Add(old, increment)
		if !inRange {
			sum = longdouble.Max()
			if increment.Signbit() {
				sum.Neg(sum)
			}
		}
		low, high := sum.Cmp(lower) < 0, sum.Cmp(upper) > 0
		switch {
		case (low || high || !inRange) && !o.saturate:
			writeFloats(r, old, longdouble.New())
			return nil, nil
		case low:
			sum = lower
		case high:
			sum = upper
		}
		applied, ok := longdouble.Add(sum, longdouble.New().Neg(old))
		if !ok {
			return nil, errAppliedInfinite
		}
		writeFloats(r, sum, applied)
		return longdouble.Format(sum), nil
	}, nil
}

// writeFloats answers a value and by how much it has changed.
func writeFloats(r *resp.Reply, value, applied *big.Float) {
	r.Array(2)
	r.DoubleText(longdouble.Format(value))
	r.DoubleText(longdouble.Format(applied))
}
