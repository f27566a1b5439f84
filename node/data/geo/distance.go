package geo

import "math"

const (
	earthRadius = 6372797.560856 // m
	radian      = math.Pi / 180  // of a degree
)

func radians(degrees float64) float64 { return float64(degrees * radian) }

// distance returns the distance of two places in m, by the haversine formula.
func distance(a, b place) float64 {
	v := sine((radians(b.longitude) - radians(a.longitude)) / 2)
	if v == 0 {
		return distanceNorth(a.latitude, b.latitude)
	}
	from, to := radians(a.latitude), radians(b.latitude)
	h := haversine(sine((to-from)/2), v, cosine(from), cosine(to))
	return 2 * earthRadius * arcsine(math.Sqrt(h))
}

// distanceNorth returns the distance of two parallels.
func distanceNorth(a, b float64) float64 {
	return earthRadius * math.Abs(radians(b)-radians(a))
}

// haversine returns the square of the sine of half the angle between two places, from the
// sines of half their differences in latitude and in longitude, and the cosines of their
// latitudes.
func haversine(u, v, cosFrom, cosTo float64) float64 {
	return float64(u*u) + float64(float64(float64(cosFrom*cosTo)*v)*v)
}

// within is a distance that others are compared with.
type within struct {
	limit  float64 // m
	square float64 // the haversine for it; 1 if that is all of the earth
}

func withinDistance(limit float64) within {
	half := limit / (2 * earthRadius)
	if half >= math.Pi/2 {
		return within{limit, 1}
	}
	s := math.Sin(half)
	return within{limit, s * s}
}

// reaches reports whether the distance of two places is at most w, as distance counts it.
// It only counts so where faster functions, whose last bits are not the same everywhere,
// leave it open.
func (w within) reaches(a, b place) bool {
	const doubt = 1e-12 // far more than the functions are wrong by
	u := math.Sin((radians(b.latitude) - radians(a.latitude)) / 2)
	v := math.Sin((radians(b.longitude) - radians(a.longitude)) / 2)
	h := haversine(u, v, math.Cos(radians(a.latitude)), math.Cos(radians(b.latitude)))
	switch {
	case h > w.square*(1+doubt):
		return false
	case h < w.square*(1-doubt):
		return true
	default:
		return distance(a, b) <= w.limit
	}
}
