package resp

import "time"

// stopwatch measures how long it takes to make replies.
type stopwatch struct {
	on   bool
	took time.Duration   // of all laps together
	laps []time.Duration // those between Nest and Unnest, one for each element
}

// Time has r note from now on how long the commands take that it is the reply to, until
// Took or Init.
func (r *Reply) Time() { r.watch = stopwatch{on: true} }

// epoch is what laps are counted from: that way one look at the clock tells no time of day,
// which would take twice as long.
var epoch = time.Now()

// StartLap says that a command begins to run; EndLap that it has ended, with what
// StartLap returned. Where nobody wants to know, they cost nothing.
func (r *Reply) StartLap() (begun time.Duration) {
	if r == nil || !r.watch.on {
		return -1
	}
	return time.Since(epoch)
}

// EndLap is described at StartLap.
func (r *Reply) EndLap(begun time.Duration) {
	if begun < 0 {
		return
	}
	took := time.Since(epoch) - begun
	r.watch.took += took
	if r.nesting {
		r.watch.laps = append(r.watch.laps, took)
	}
}

// Took returns how long the commands have run since Time, all of them together and
// each of those whose replies are nested elements: 0 and none if Time was not called. It
// ends the measuring.
func (r *Reply) Took() (all time.Duration, each []time.Duration) {
	if !r.watch.on {
		return 0, nil
	}
	all, each = r.watch.took, r.watch.laps
	r.watch = stopwatch{}
	return all, each
}
