package command

import "github.com/genuineh/aikv/node/resp"

// IdleIfAbsent is Command.Idle where a command answers 0 if the key that it names first
// is not there.
func IdleIfAbsent(v *View, args *Args, r *resp.Reply) bool {
	if _, there := v.Lookup(args.Next()); there {
		return false
	}
	r.Int(0)
	return true
}

// IdleIfThere is the same for a key that is there.
func IdleIfThere(v *View, args *Args, r *resp.Reply) bool {
	if _, there := v.Lookup(args.Next()); !there {
		return false
	}
	r.Int(0)
	return true
}

// IdleIfAllAbsent is IdleIfAbsent where all arguments are keys.
func IdleIfAllAbsent(v *View, args *Args, r *resp.Reply) bool {
	for args.More() {
		if _, there := v.Lookup(args.Next()); there {
			return false
		}
	}
	r.Int(0)
	return true
}

// IdlePop is Command.Idle of what takes one element out of the key that it names, and
// nothing else.
func IdlePop(v *View, args *Args, r *resp.Reply) bool {
	if _, there := v.Lookup(args.Next()); there || args.More() {
		return false
	}
	r.Null()
	return true
}
