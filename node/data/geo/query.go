package geo

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// query is what a search is asked for.
type query struct {
	dialect
	shape
	set   keyspace.SortedSetView
	found bool // the set is there

	fromMember, fromPlace         bool // by an option
	byRadius, byBox               bool // by an option
	withDist, withHash, withCoord bool
	count                         int64 // at most so many; 0: all
	any                           bool  // which ones does not matter
	order                         order

	store     bool // what is found, under the key target
	target    []byte
	storeDist bool // with distances as scores
}

// order is what a search's results are sorted by.
type order uint8

const (
	unsorted order = iota
	nearestFirst
	farthestFirst
)

// dialect is how the commands that search differ in their arguments.
type dialect struct {
	circle  bool // GEORADIUS and its kin have a center and a radius in front of their options,
	member  bool // or a member as the center.
	stores  bool // They may have STORE and STOREDIST.
	targets bool // GEOSEARCHSTORE has its target in front of the key.
}

const errNoMember = resp.Error("ERR could not decode requested zset member")

// parseQuery takes the arguments of a search. A key of another type is an error whatever
// follows, as in Redis, and of several errors the first one counts.
func parseQuery(v *keyspace.View, args *command.Args, d dialect) (q *query, err error) {
	q = &query{dialect: d}
	if d.targets {
		q.store, q.target = true, args.Next()
	}
	if q.set, q.found, err = v.SortedSet(args.Next()); err != nil {
		return nil, err
	}
	if d.circle {
		if err := q.takeCircle(args); err != nil {
			return nil, err
		}
	}
	for args.More() {
		if err := q.takeOption(args); err != nil {
			return nil, err
		}
	}
	if err := q.check(args); err != nil {
		return nil, err
	}
	if q.count != 0 && q.order == unsorted && !q.any {
		q.order = nearestFirst
	}
	return q, nil
}

// takeCircle takes what GEORADIUS and its kin have in front of their options. Around a
// member of no key it may be anything.
func (q *query) takeCircle(args *command.Args) (err error) {
	switch {
	case q.member && !q.found:
		args.Take(3)
		return nil
	case q.member:
		err = q.takeMember(args)
	default:
		q.center, err = takePlace(args)
	}
	if err != nil {
		return err
	}
	return q.takeRadius(args)
}

func (q *query) takeMember(args *command.Args) error {
	score, ok := q.set.Score(args.Next())
	if !ok && q.found {
		return errNoMember
	}
	q.center = placeOfScore(score)
	return nil
}

func (q *query) takeRadius(args *command.Args) (err error) {
	if q.radius, err = takeLength(args, "radius"); err != nil {
		return err
	}
	if q.radius < 0 {
		return command.Errorf("radius cannot be negative")
	}
	q.unit, err = takeUnit(args)
	return err
}

func (q *query) takeBox(args *command.Args) (err error) {
	if q.width, err = takeLength(args, "width"); err != nil {
		return err
	}
	if q.height, err = takeLength(args, "height"); err != nil {
		return err
	}
	if q.width < 0 || q.height < 0 {
		return command.Errorf("height or width cannot be negative")
	}
	q.unit, err = takeUnit(args)
	return err
}

// takeOption takes the next option with what belongs to it.
func (q *query) takeOption(args *command.Args) (err error) {
	switch {
	case args.Is("withdist"):
		q.withDist = true
	case args.Is("withhash"):
		q.withHash = true
	case args.Is("withcoord"):
		q.withCoord = true
	case args.Is("any"):
		q.any = true
	case args.Is("asc"):
		q.order = nearestFirst
	case args.Is("desc"):
		q.order = farthestFirst
	case args.IsWith("count", 1):
		if q.count, err = args.Int(); err == nil && q.count <= 0 {
			err = command.Errorf("COUNT must be > 0")
		}
	case q.circle:
		err = q.takeTarget(args)
	case q.targets && args.Is("storedist"):
		q.storeDist = true
	default:
		err = q.takeShape(args)
	}
	return err
}

// takeTarget takes those options that GEORADIUS alone has.
func (q *query) takeTarget(args *command.Args) error {
	switch {
	case q.stores && args.IsWith("store", 1):
		q.storeDist = false
	case q.stores && args.IsWith("storedist", 1):
		q.storeDist = true
	default:
		return command.ErrSyntax
	}
	q.store, q.target = true, args.Next()
	return nil
}

// takeShape takes those that GEOSEARCH has in place of GEORADIUS's arguments. Of two
// that exclude each other, the second one is a syntax error.
func (q *query) takeShape(args *command.Args) (err error) {
	switch {
	case !q.fromPlace && args.IsWith("frommember", 1):
		q.fromMember = true
		err = q.takeMember(args)
	case !q.fromMember && args.IsWith("fromlonlat", 2):
		q.fromPlace = true
		q.center, err = takePlace(args)
	case !q.byBox && args.IsWith("byradius", 2):
		q.byRadius = true
		err = q.takeRadius(args)
	case !q.byRadius && args.IsWith("bybox", 3):
		q.byBox, q.box = true, true
		err = q.takeBox(args)
	default:
		err = command.ErrSyntax
	}
	return err
}

// check returns Redis's error for options that are missing, or do not go together.
func (q *query) check(args *command.Args) error {
	switch {
	case q.store && (q.withDist || q.withHash || q.withCoord):
		what := "STORE option in GEORADIUS"
		if q.targets {
			what = "GEOSEARCHSTORE"
		}
		return command.Errorf("%s is not compatible with WITHDIST, WITHHASH and WITHCOORD options", what)
	case !q.circle && !q.fromMember && !q.fromPlace:
		return command.Errorf("exactly one of FROMMEMBER or FROMLONLAT can be specified for %s", args.Spelling())
	case !q.circle && !q.byRadius && !q.byBox:
		return command.Errorf("exactly one of BYRADIUS and BYBOX can be specified for %s", args.Spelling())
	case q.any && q.count == 0:
		return command.Errorf("the ANY argument requires COUNT argument")
	default:
		return nil
	}
}

// takePlace takes a longitude and a latitude.
func takePlace(args *command.Args) (p place, err error) {
	if p.longitude, err = args.Float(); err != nil {
		return p, err
	}
	if p.latitude, err = args.Float(); err != nil {
		return p, err
	}
	if !p.valid() {
		return p, command.Errorf("invalid longitude,latitude pair %s,%s", sixDigits(p.longitude), sixDigits(p.latitude))
	}
	return p, nil
}

func takeLength(args *command.Args, what string) (float64, error) {
	length, err := args.Float()
	if err != nil {
		return 0, command.Errorf("need numeric %s", what)
	}
	return length, nil
}

// takeUnit takes a unit of length, and returns it in m.
func takeUnit(args *command.Args) (float64, error) {
	switch {
	case args.Is("m"):
		return 1, nil
	case args.Is("km"):
		return 1000, nil
	case args.Is("ft"):
		return 0.3048, nil
	case args.Is("mi"):
		return 1609.34, nil
	default:
		return 0, command.Errorf("unsupported unit provided. please use M, KM, FT, MI")
	}
}
