package geo

import (
	"math"
	"strconv"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data/sortedsets"
	"github.com/genuineh/aikv/node/longdouble"
	"github.com/genuineh/aikv/node/resp"
)

// geoadd is ZADD for places.
func geoadd(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	var o sortedsets.AddOptions
	for {
		switch {
		case args.Is("nx"):
			o.NX = true
		case args.Is("xx"):
			o.XX = true
		case args.Is("ch"):
			o.CH = true
		default:
			return addPlaces(tx, key, o, args, r)
		}
	}
}

func addPlaces(tx *command.Tx, key []byte, o sortedsets.AddOptions, args *command.Args, r *resp.Reply) error {
	const perPlace = 3 // arguments
	if !args.More() || args.Len()%perPlace != 0 || o.NX && o.XX {
		return command.ErrSyntax
	}
	elements := make([]sortedsets.Element, 0, args.Len()/perPlace)
	for args.More() {
		p, err := takePlace(args)
		if err != nil {
			return err
		}
		score := cellOf(p, depth, maxLatitude).score()
		elements = append(elements, sortedsets.Element{Member: args.Next(), Score: score})
	}
	return sortedsets.Add(tx, key, o, elements, r)
}

func geodist(v *command.View, args *command.Args, r *resp.Reply) error {
	key, from, to := args.Next(), args.Next(), args.Next()
	unit := 1.0
	if args.Len() > 1 {
		return command.ErrSyntax
	}
	if args.More() {
		var err error
		if unit, err = takeUnit(args); err != nil {
			return err
		}
	}
	set, _, err := v.SortedSet(key)
	if err != nil {
		return err
	}
	a, ok1 := set.Score(from)
	b, ok2 := set.Score(to)
	if !ok1 || !ok2 {
		r.Null()
		return nil
	}
	writeDistance(r, distance(placeOfScore(a), placeOfScore(b))/unit)
	return nil
}

func geohashes(v *command.View, args *command.Args, r *resp.Reply) error {
	set, _, err := v.SortedSet(args.Next())
	if err != nil {
		return err
	}
	r.Array(args.Len())
	for args.More() {
		if score, ok := set.Score(args.Next()); ok {
			r.BulkString(geohash(placeOfScore(score)))
		} else {
			r.Null()
		}
	}
	return nil
}

func geopos(v *command.View, args *command.Args, r *resp.Reply) error {
	set, _, err := v.SortedSet(args.Next())
	if err != nil {
		return err
	}
	r.Array(args.Len())
	for args.More() {
		if score, ok := set.Score(args.Next()); ok {
			writePlace(r, placeOfScore(score))
		} else {
			r.NullArray()
		}
	}
	return nil
}

func writePlace(r *resp.Reply, p place) {
	r.Array(2)
	r.DoubleText(longdouble.FormatFloat64(p.longitude))
	r.DoubleText(longdouble.FormatFloat64(p.latitude))
}

// writeDistance writes a distance with four digits behind the point. They are rounded
// as Redis does it, after the multiplication.
func writeDistance(r *resp.Reply, d float64) {
	const places, scale = 4, 10000
	digits := strconv.AppendInt(nil, int64(math.RoundToEven(d*scale)), 10)
	for len(digits) <= places {
		digits = append([]byte{'0'}, digits...)
	}
	at := len(digits) - places
	r.BulkString(string(digits[:at]) + "." + string(digits[at:]))
}

// sixDigits returns a number as C's %f prints it.
func sixDigits(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	default:
		return strconv.FormatFloat(f, 'f', 6, 64)
	}
}
