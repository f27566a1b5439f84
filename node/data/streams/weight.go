package streams

import "github.com/genuineh/aikv/node/command"

// perPending is about how many bytes an entry takes that becomes pending: what there is of
// it by its id, its consumer and its time.
const perPending = 256

// weightOfRead is the Weight of XREADGROUP: all entries that it may deliver become pending.
func weightOfRead(args [][]byte) int {
	for i := 1; i+1 < len(args) && !command.Is(args[i], "streams"); i++ {
		if command.Is(args[i], "count") {
			return weightOfCount(args[i+1], len(args)) // of each stream
		}
	}
	return command.UnknownWeight
}

// weightOfClaim is that of XCLAIM, which may make entries pending that were not.
func weightOfClaim(args [][]byte) int { return perPending * len(args) }

// weightOfCount is that of so many pending entries, as often.
func weightOfCount(count []byte, times int) int {
	n, ok := command.ParseInt(count)
	const most = command.UnknownWeight / perPending
	if !ok || n <= 0 || n > most/int64(times) {
		return command.UnknownWeight
	}
	return perPending * int(n) * times
}
