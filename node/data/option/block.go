package option

import "github.com/genuineh/aikv/node/command"

// TakeBlockingPops takes a timeout and then what TakePops does, as BZMPOP and BLMPOP have
// them. What is wrong with the timeout is told last. now is in unix ms.
func TakeBlockingPops(args *command.Args, first, second string, now int64) (o Pops, err error) {
	timeout := args.Next()
	if o, err = TakePops(args, first, second); err != nil {
		return o, err
	}
	_, err = command.ParseTimeout(timeout, now)
	return o, err
}
