package geo

import "math"

// The places that there are: what is nearer to a pole has none.
const (
	maxLongitude = 180
	maxLatitude  = 85.05112878
)

// place is a place in degrees.
type place struct{ longitude, latitude float64 }

func (p place) valid() bool {
	return math.Abs(p.longitude) <= maxLongitude && math.Abs(p.latitude) <= maxLatitude
}

// depth is how often a score halves longitude and latitude.
const depth = 26

// cell is one of 4^depth parts of the map, by its number from the west and from the
// south. The numbers of the very east and north are one too large.
type cell struct {
	x, y  uint32
	depth uint
}

// cellOf returns the cell that a valid place is in, on a map that reaches to
// the latitude north, and from its opposite.
func cellOf(p place, depth uint, north float64) cell {
	size := float64(uint64(1) << depth)
	return cell{
		uint32((p.longitude + maxLongitude) / (2 * maxLongitude) * size),
		uint32((p.latitude + north) / (2 * north) * size),
		depth,
	}
}

// bits are the cell's numbers interleaved, the bit of longitude first.
func (c cell) bits() uint64 { return spread(c.x)<<1 | spread(c.y) }

// cellOfScore returns the cell that a score means. Any score means one.
func cellOfScore(score float64) cell {
	bits := scoreBits(score)
	return cell{gather(bits >> 1), gather(bits), depth}
}

// score is the one of a cell of the usual depth.
func (c cell) score() float64 { return float64(c.bits()) }

// scores returns the scores of places in the cell: from up to, and without, to.
func (c cell) scores() (from, to float64) {
	shift := 2 * (depth - c.depth)
	return float64(c.bits() << shift), float64((c.bits() + 1) << shift)
}

// moved returns the cell that is so many, at most one, to the east and to the north. The map is
// a ring in both directions.
func (c cell) moved(east, north int) cell {
	mask := uint32(1)<<c.depth - 1
	if east != 0 {
		c.x = (c.x + uint32(east)) & mask
	}
	if north != 0 {
		c.y = (c.y + uint32(north)) & mask
	}
	return c
}

// area is what is between two meridians and two parallels.
type area struct{ west, south, east, north float64 }

func (c cell) area() area {
	size := float64(uint64(1) << c.depth)
	at := func(limit float64, n uint32) float64 { return float64(float64(n)/size*(2*limit)) - limit }
	return area{at(maxLongitude, c.x), at(maxLatitude, c.y), at(maxLongitude, c.x+1), at(maxLatitude, c.y+1)}
}

// placeOfScore returns the middle of the cell that a score means.
func placeOfScore(score float64) place {
	a := cellOfScore(score).area()
	middle := func(a, b, limit float64) float64 { return min(max((a+b)/2, -limit), limit) }
	return place{middle(a.west, a.east, maxLongitude), middle(a.south, a.north, maxLatitude)}
}

// spread moves the bits of n to the even places.
func spread(n uint32) uint64 {
	b := uint64(n)
	b = (b | b<<16) & 0x0000ffff0000ffff
	b = (b | b<<8) & 0x00ff00ff00ff00ff
	b = (b | b<<4) & 0x0f0f0f0f0f0f0f0f
	b = (b | b<<2) & 0x3333333333333333
	return (b | b<<1) & 0x5555555555555555
}

// gather undoes spread; it does not look at the odd places.
func gather(b uint64) uint32 {
	b &= 0x5555555555555555
	b = (b | b>>1) & 0x3333333333333333
	b = (b | b>>2) & 0x0f0f0f0f0f0f0f0f
	b = (b | b>>4) & 0x00ff00ff00ff00ff
	b = (b | b>>8) & 0x0000ffff0000ffff
	return uint32(b | b>>16)
}

// scoreBits and scoreInt make integers of any score as Redis does on x86. What Go's
// conversions make of numbers that are out of range is up to the processor.
func scoreBits(score float64) uint64 {
	if score < 1<<63 {
		return uint64(scoreInt(score))
	}
	return uint64(scoreInt(score-1<<63)) ^ 1<<63
}

func scoreInt(score float64) int64 {
	if score >= -1<<63 && score < 1<<63 {
		return int64(score)
	}
	return math.MinInt64
}

// letters are the digits of a geohash.
const letters = "0123456789bcdefghjkmnpqrstuvwxyz"

// geohash returns the name of a place as geohash.org writes it, on whose map
// the poles are. Eleven letters have 55 bits, three more than there are.
func geohash(p place) string {
	const poles = 90
	bits := cellOf(p, depth, poles).bits()
	name := []byte("00000000000")
	for i := range name[:10] {
		name[i] = letters[bits>>(47-5*i)&31]
	}
	return string(name)
}
