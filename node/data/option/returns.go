package option

import "github.com/genuineh/aikv/node/command"

// ReturnsPopped is the Command.Returns of commands that remove elements from one key,
// one or as many as the argument behind it says, and answer with them. One alone is
// never much: its memory is that of what goes.
func ReturnsPopped(args *command.Args, look func() *command.View) int64 {
	key := args.Next()
	if !args.More() {
		return 0
	}
	count, _ := args.Int() // of an error nothing is returned
	return look().SizeOfSome(key, count)
}

// ReturnsPops is the Command.Returns of those that remove them from the first of some
// keys that has any.
func ReturnsPops(args *command.Args, look func() *command.View) (most int64) {
	keys, _ := args.Keys("numkeys") // of an error nothing is returned
	args.Next()                     // the end
	count := 1
	if args.IsWith("count", 1) {
		count, _ = args.Count("count")
	}
	for _, key := range keys {
		most = max(most, look().SizeOfSome(key, int64(count)))
	}
	return most
}
