package option

import "github.com/genuineh/aikv/node/command"

// Pops are the arguments of LMPOP, ZMPOP and their kin: from the first of the keys
// that holds anything, Count elements are to be popped at one of two ends.
type Pops struct {
	Keys   [][]byte
	Second bool // the end that the second word names
	Count  int64
}

// TakePops takes them, which are all the arguments that are left; the words, in lower
// case, name the two ends.
func TakePops(args *command.Args, first, second string) (p Pops, err error) {
	if p.Keys, err = args.Keys("numkeys"); err != nil {
		return p, err
	}
	p.Second = args.Is(second)
	if !p.Second && !args.Is(first) {
		return p, command.ErrSyntax
	}
	count := 1
	if args.IsWith("count", 1) {
		if count, err = args.Count("count"); err != nil {
			return p, err
		}
	}
	p.Count = int64(count)
	return p, args.End()
}
