package geo

import "math"

// shape is the area of a search around a place: a circle, or a box.
type shape struct {
	center        place
	box           bool
	radius        float64 // of a circle
	width, height float64 // of a box
	unit          float64 // of these, in m
}

// measure is a shape made ready for many places.
type measure struct {
	shape
	near within // of a circle, or of half a box's width
}

func (s shape) measure() measure {
	if s.box {
		return measure{s, withinDistance(float64(s.width*s.unit) / 2)}
	}
	return measure{s, withinDistance(s.radius * s.unit)}
}

// contains reports whether a place is in the shape. The width of a box is measured at the
// place's latitude.
func (m *measure) contains(p place) bool {
	if !m.box {
		return m.near.reaches(m.center, p)
	}
	if distanceNorth(p.latitude, m.center.latitude) > float64(m.height*m.unit)/2 {
		return false
	}
	return m.near.reaches(p, place{m.center.longitude, p.latitude})
}

// reach returns how far the shape reaches from its center, in m: a box to its corners.
func (s shape) reach() float64 {
	if !s.box {
		return s.radius * s.unit
	}
	x, y := s.width/2, s.height/2
	return math.Sqrt(float64(x*x)+float64(y*y)) * s.unit
}

// bounds returns the area that the shape fits into. It is meant for what reaches a
// quarter around the earth at most. The width is that of the edge that is nearer to the
// pole.
func (s shape) bounds() area {
	north, east := s.radius*s.unit, s.radius*s.unit
	if s.box {
		north, east = s.unit*(s.height/2), s.unit*(s.width/2)
	}
	north = north / earthRadius / radian
	edge := s.center.latitude + north
	if s.center.latitude < 0 {
		edge = s.center.latitude - north
	}
	east = east / earthRadius / cosine(radians(edge)) / radian
	return area{
		s.center.longitude - east, s.center.latitude - north,
		s.center.longitude + east, s.center.latitude + north,
	}
}

// depthFor returns how small the cells may be of which nine should cover what is so near
// to a latitude. Towards the poles they become narrow.
func depthFor(reach, latitude float64) uint {
	const halfMap = 20037726.37 // m
	if reach == 0 {
		return depth
	}
	n := -1
	for ; reach < halfMap; reach *= 2 {
		n++
	}
	switch latitude = math.Abs(latitude); {
	case latitude > 80:
		n -= 2
	case latitude > 66:
		n--
	}
	return uint(min(max(n, 1), depth))
}

// cells returns the cells that the shape may reach into, in the order in which a search
// looks at them: that of its center, and of those around it the ones that are needed.
// None comes twice.
func (s shape) cells() []cell {
	depth := depthFor(s.reach(), s.center.latitude)
	center := cellOf(s.center, depth, maxLatitude)
	var bounds area
	if depth > 1 {
		bounds = s.bounds()
		if !covered(center, bounds) {
			depth--
			center = cellOf(s.center, depth, maxLatitude)
		}
	}
	own := center.area()
	cells := append(make([]cell, 0, 9), center)
	for _, step := range [8][2]int{{0, 1}, {0, -1}, {1, 0}, {-1, 0}, {1, 1}, {-1, 1}, {1, -1}, {-1, -1}} {
		east, north := step[0], step[1]
		needless := depth > 1 && (north < 0 && own.south < bounds.south || north > 0 && own.north > bounds.north ||
			east < 0 && own.west < bounds.west || east > 0 && own.east > bounds.east)
		next := center.moved(east, north)
		// On a small map, neighbors are the same cell: see the cell before.
		if !needless && (len(cells) == 1 || next != cells[len(cells)-1]) {
			cells = append(cells, next)
		}
	}
	return cells
}

// covered reports whether a cell and its neighbors cover an area.
func covered(c cell, a area) bool {
	return c.moved(0, 1).area().north >= a.north && c.moved(0, -1).area().south <= a.south &&
		c.moved(1, 0).area().east >= a.east && c.moved(-1, 0).area().west <= a.west
}
