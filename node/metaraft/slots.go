package metaraft

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// Slots is a slot.Set that travels as its ranges ("0-5460 7").
type Slots struct{ slot.Set }

// MarshalText implements encoding.TextMarshaler.
func (s Slots) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Slots) UnmarshalText(text []byte) error {
	s.Set = slot.Set{}
	for _, field := range bytes.Fields(text) {
		r, err := parseRange(string(field))
		if err != nil {
			return err
		}
		s.AddRange(r)
	}
	return nil
}

func parseRange(text string) (slot.Range, error) {
	var r slot.Range
	if n, err := fmt.Sscanf(text, "%d-%d", &r.Start, &r.End); n == 1 {
		r.End = r.Start
	} else if err != nil {
		return r, fmt.Errorf("slots %q: %w", text, err)
	}
	if r.Start > r.End || r.End >= slot.Count || r.String() != text {
		return r, fmt.Errorf("slots %q: not a range of slots", text)
	}
	return r, nil
}

// SlotTable says who owns each slot and when it last changed hands. That a slot
// has at most one owner follows from its shape.
type SlotTable [slot.Count]SlotOwner

// SlotOwner is the owner of a slot (0: unassigned) and its slot epoch.
type SlotOwner struct {
	Group topology.GroupID
	Epoch uint64
}

// SlotRun is a run of slots with the same owner and epoch.
type SlotRun struct {
	Start, End uint16
	Group      topology.GroupID
	Epoch      uint64
}

// Runs returns the slots that have an epoch as ascending maximal runs.
func (t *SlotTable) Runs() []SlotRun {
	runs := []SlotRun{}
	for n, owner := range t {
		if owner == (SlotOwner{}) {
			continue
		}
		if last := len(runs) - 1; last >= 0 && int(runs[last].End)+1 == n &&
			runs[last].Group == owner.Group && runs[last].Epoch == owner.Epoch {
			runs[last].End++
			continue
		}
		runs = append(runs, SlotRun{uint16(n), uint16(n), owner.Group, owner.Epoch})
	}
	return runs
}

// Of returns the slots that group owns.
func (t *SlotTable) Of(group topology.GroupID) slot.Set {
	var s slot.Set
	for n := range t {
		if t[n].Group == group && group != 0 {
			s.Add(uint16(n))
		}
	}
	return s
}

// owners returns the groups that own a slot.
func (t *SlotTable) owners() map[topology.GroupID]bool {
	owners := make(map[topology.GroupID]bool)
	var last topology.GroupID
	for n := range t {
		if group := t[n].Group; group != last {
			last = group
			owners[group] = group != 0
		}
	}
	return owners
}

// MarshalJSON implements json.Marshaler.
func (t *SlotTable) MarshalJSON() ([]byte, error) { return json.Marshal(t.Runs()) }

// UnmarshalJSON implements json.Unmarshaler.
func (t *SlotTable) UnmarshalJSON(data []byte) error {
	var runs []SlotRun
	if err := json.Unmarshal(data, &runs); err != nil {
		return err
	}
	*t = SlotTable{}
	for _, run := range runs {
		if run.End >= slot.Count {
			return ErrFormat
		}
		for n := int(run.Start); n <= int(run.End); n++ {
			t[n] = SlotOwner{run.Group, run.Epoch}
		}
	}
	return nil
}
