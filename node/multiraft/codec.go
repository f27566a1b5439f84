package multiraft

import (
	"encoding/binary"
	"errors"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"
)

// A frame carries messages of many groups from one process to another:
//
//	frame   = format(1) cluster(8) message*
//	message = length(uvarint) group(8) body
//	body    = type(1) flags(1) uvarints(to from term logTerm index commit vote)
//	          [rejectHint] [context] [entries] [point]
//
// The fixed part is little endian. A decoded message aliases the frame.
const (
	frameFormat = 1
	frameHeader = 1 + 8
)

const (
	flagReject = 1 << iota
	flagContext
	flagEntries
	flagPoint
)

// errFrame is returned for bytes that are no frame of this format.
var errFrame = errors.New("multiraft: malformed frame")

func appendFrameHeader(dst []byte, cluster uint64) []byte {
	dst = append(dst, frameFormat)
	return binary.LittleEndian.AppendUint64(dst, cluster)
}

// appendMessage appends one message of a group to a frame.
func appendMessage(dst []byte, group GroupID, m *pb.Message) []byte {
	// The length is patched in afterwards: four bytes of a padded uvarint.
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(group))
	var flags byte
	if m.GetReject() {
		flags |= flagReject
	}
	if len(m.GetContext()) > 0 {
		flags |= flagContext
	}
	if len(m.GetEntries()) > 0 {
		flags |= flagEntries
	}
	if m.GetSnapshot() != nil {
		flags |= flagPoint
	}
	dst = append(dst, byte(m.GetType()), flags)
	for _, n := range [...]uint64{
		m.GetTo(), m.GetFrom(), m.GetTerm(), m.GetLogTerm(), m.GetIndex(), m.GetCommit(), m.GetVote(),
	} {
		dst = binary.AppendUvarint(dst, n)
	}
	if flags&flagReject != 0 {
		dst = binary.AppendUvarint(dst, m.GetRejectHint())
	}
	if flags&flagContext != 0 {
		dst = appendBytes(dst, m.GetContext())
	}
	if flags&flagEntries != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(m.GetEntries())))
		for _, e := range m.GetEntries() {
			dst = append(dst, byte(e.GetType()))
			dst = binary.AppendUvarint(dst, e.GetTerm())
			dst = binary.AppendUvarint(dst, e.GetIndex())
			dst = appendBytes(dst, e.GetData())
		}
	}
	if flags&flagPoint != 0 {
		at := m.GetSnapshot().GetMetadata()
		dst = AppendPoint(dst, Point{Index: at.GetIndex(), Term: at.GetTerm(), Conf: at.GetConfState()})
	}
	putPaddedUvarint(dst[start:start+5], uint64(len(dst)-start-5))
	return dst
}

func appendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// putPaddedUvarint writes n < 2^35 as a uvarint of exactly five bytes.
func putPaddedUvarint(dst []byte, n uint64) {
	for i := range 4 {
		dst[i] = byte(n)&0x7f | 0x80
		n >>= 7
	}
	dst[4] = byte(n)
}

// message is a decoded message with all its scalars in one allocation:
// raftpb's fields are pointers.
type message struct {
	pb.Message
	typ                                                pb.MessageType
	to, from, term, logTerm, index, commit, vote, hint uint64
	reject                                             bool
}

type entry struct {
	pb.Entry
	typ         pb.EntryType
	term, index uint64
}

// decodeFrame calls step for every message of a frame, in order.
func decodeFrame(frame []byte, cluster uint64, step func(group GroupID, m *pb.Message)) error {
	if len(frame) < frameHeader || frame[0] != frameFormat {
		return errFrame
	}
	if got := binary.LittleEndian.Uint64(frame[1:]); got != cluster {
		return fmt.Errorf("multiraft: frame of cluster %016x: %w", got, errForeign)
	}
	for rest := frame[frameHeader:]; len(rest) > 0; {
		length, n := binary.Uvarint(rest)
		if n <= 0 || length < 8 || length > uint64(len(rest)-n) {
			return errFrame
		}
		body := rest[n : n+int(length)]
		rest = rest[n+int(length):]
		m, err := decodeMessage(body[8:])
		if err != nil {
			return err
		}
		step(GroupID(binary.LittleEndian.Uint64(body)), m)
	}
	return nil
}

// errForeign marks frames of another cluster.
var errForeign = errors.New("not of this cluster")

// decoder takes values off a byte slice; bad stays set after the first failure.
type decoder struct {
	buf []byte
	bad bool
}

func (r *decoder) byte() byte {
	if len(r.buf) == 0 {
		r.bad = true
		return 0
	}
	b := r.buf[0]
	r.buf = r.buf[1:]
	return b
}

func (r *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(r.buf)
	if n <= 0 {
		r.bad, r.buf = true, nil
		return 0
	}
	r.buf = r.buf[n:]
	return v
}

func (r *decoder) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.buf)) {
		r.bad, r.buf = true, nil
		return nil
	}
	b := r.buf[:n:n]
	r.buf = r.buf[n:]
	return b
}

func decodeMessage(body []byte) (*pb.Message, error) {
	r := decoder{buf: body}
	m := &message{typ: pb.MessageType(r.byte())}
	flags := r.byte()
	m.to, m.from, m.term = r.uvarint(), r.uvarint(), r.uvarint()
	m.logTerm, m.index, m.commit, m.vote = r.uvarint(), r.uvarint(), r.uvarint(), r.uvarint()
	m.reject = flags&flagReject != 0
	if m.reject {
		m.hint = r.uvarint()
	}
	if flags&flagContext != 0 {
		m.Context = r.bytes()
	}
	if flags&flagEntries != 0 {
		m.Entries = decodeEntries(&r)
	}
	if flags&flagPoint != 0 {
		p := r.point()
		m.Snapshot = &pb.Snapshot{Metadata: &pb.SnapshotMetadata{Index: &p.Index, Term: &p.Term, ConfState: p.Conf}}
	}
	if r.bad || len(r.buf) > 0 || !wireType(m.typ) || !m.wellFormed() || !m.inRange() {
		return nil, errFrame
	}
	m.Type = &m.typ
	m.To, m.From, m.Term = &m.to, &m.from, &m.term
	m.LogTerm, m.Index, m.Commit, m.Vote = &m.logTerm, &m.index, &m.commit, &m.vote
	m.Reject, m.RejectHint = &m.reject, &m.hint
	return &m.Message, nil
}

// wellFormed refuses what raft takes for granted and would panic over.
func (m *message) wellFormed() bool {
	switch m.typ {
	case pb.MsgReadIndex, pb.MsgReadIndexResp:
		return len(m.Entries) == 1
	case pb.MsgHeartbeat, pb.MsgHeartbeatResp:
		return len(m.Context) == 0 || len(m.Context) == 8
	case pb.MsgSnap:
		return m.Snapshot.GetMetadata().GetIndex() > 0
	case pb.MsgApp:
		for i, e := range m.Entries {
			if e.GetIndex() != m.index+1+uint64(i) || e.GetType() > pb.EntryConfChangeV2 {
				return false
			}
		}
	}
	return true
}

func decodeEntries(r *decoder) []*pb.Entry {
	count := r.uvarint()
	if count > uint64(len(r.buf)/4)+1 { // an entry has at least four bytes
		r.bad = true
		return nil
	}
	boxes := make([]entry, count)
	entries := make([]*pb.Entry, count)
	for i := range boxes {
		e := &boxes[i]
		e.typ, e.term, e.index = pb.EntryType(r.byte()), r.uvarint(), r.uvarint()
		if data := r.bytes(); len(data) > 0 {
			e.Data = data
		}
		e.Type, e.Term, e.Index = &e.typ, &e.term, &e.index
		entries[i] = &e.Entry
	}
	return entries
}

// AppendPoint appends a point's encoding: all numbers are uvarints, lists begin
// with their length.
//
//	point = index term voters learners votersOutgoing learnersNext autoLeave
func AppendPoint(dst []byte, p Point) []byte {
	dst = binary.AppendUvarint(dst, p.Index)
	dst = binary.AppendUvarint(dst, p.Term)
	for _, ids := range [...][]uint64{
		p.Conf.GetVoters(), p.Conf.GetLearners(), p.Conf.GetVotersOutgoing(), p.Conf.GetLearnersNext(),
	} {
		dst = binary.AppendUvarint(dst, uint64(len(ids)))
		for _, id := range ids {
			dst = binary.AppendUvarint(dst, id)
		}
	}
	if p.Conf.GetAutoLeave() {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// DecodePoint reads what AppendPoint wrote; ok is false if b is something else.
func DecodePoint(b []byte) (p Point, ok bool) {
	r := decoder{buf: b}
	p = r.point()
	return p, !r.bad && len(r.buf) == 0 && p.Index > 0 && p.Index < maxCount
}

func (r *decoder) point() Point {
	p := Point{Index: r.uvarint(), Term: r.uvarint(), Conf: &pb.ConfState{}}
	for _, list := range [...]*[]uint64{&p.Conf.Voters, &p.Conf.Learners, &p.Conf.VotersOutgoing, &p.Conf.LearnersNext} {
		count := r.uvarint()
		if count > uint64(len(r.buf)) { // an id has at least one byte
			r.bad = true
			break
		}
		for range count {
			*list = append(*list, r.uvarint())
		}
	}
	p.Conf.AutoLeave = new(r.byte() == 1)
	return p
}

// wireType reports whether a message of that type may come from a peer; the
// others are a process's own and would let a peer drive its storage.
func wireType(t pb.MessageType) bool {
	switch t {
	case pb.MsgApp, pb.MsgAppResp, pb.MsgVote, pb.MsgVoteResp, pb.MsgPreVote, pb.MsgPreVoteResp,
		pb.MsgHeartbeat, pb.MsgHeartbeatResp, pb.MsgTimeoutNow, pb.MsgReadIndex, pb.MsgReadIndexResp, pb.MsgSnap:
		return true
	}
	return false
}

// control reports whether a message travels on the stream that big entries
// never block.
func control(t pb.MessageType) bool {
	return t != pb.MsgApp && t != pb.MsgAppResp
}

// An entry's data is what all members must agree on, and the commands of the
// calls that it carries:
//
//	data = format(1) time(8, unix ms) seed(8) level(uvarint) maxString(uvarint)
//	       count(uvarint) (length(uvarint) payload)*
//
// Format 2 had neither seed nor level, which count as 0. Format 1, which was never
// released, had limits among the commands' arguments and is not read any more. What
// an entry of an unknown format means is not for this program to guess, so a committed
// one ends the process.
const (
	entryFormat       = 3
	entryFormatNoSeed = 2
	entryFormatFirst  = 1
	entryHeader       = 1 + 8
)

// errEntry is returned for entry data of an unknown or broken form: members
// cannot agree on what they don't understand, so it ends the process.
var errEntry = errors.New("multiraft: malformed entry")

// errFirstFormat is errEntry for the format that was never released.
var errFirstFormat = fmt.Errorf("%w: format 1 of a version before the first release: begin with an empty data folder", errEntry)

// entryHead is what an entry says before its commands.
type entryHead struct {
	time int64 // the proposer's clock, unix ms
	Header
}

func appendEntry(dst []byte, head entryHead, calls []*Call) []byte {
	dst = append(dst, entryFormat)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(head.time))
	dst = binary.LittleEndian.AppendUint64(dst, head.Seed)
	dst = binary.AppendUvarint(dst, head.Level)
	dst = binary.AppendUvarint(dst, head.MaxString)
	dst = binary.AppendUvarint(dst, uint64(len(calls)))
	for _, c := range calls {
		dst = appendBytes(dst, c.Payload)
	}
	return dst
}

// cutEntryHead splits an entry into its head and what follows.
func cutEntryHead(data []byte) (head entryHead, rest []byte, err error) {
	if len(data) < entryHeader {
		return head, nil, errEntry
	}
	head.time, rest = int64(binary.LittleEndian.Uint64(data[1:])), data[entryHeader:]
	var fields []*uint64
	switch data[0] {
	case entryFormat:
		if len(rest) < 8 {
			return head, nil, errEntry
		}
		head.Seed, rest = binary.LittleEndian.Uint64(rest), rest[8:]
		fields = []*uint64{&head.Level, &head.MaxString}
	case entryFormatNoSeed:
		fields = []*uint64{&head.MaxString}
	case entryFormatFirst:
		return head, nil, errFirstFormat
	default:
		return head, nil, errEntry
	}
	for _, field := range fields {
		n := 0
		if *field, n = binary.Uvarint(rest); n <= 0 {
			return head, nil, errEntry
		}
		rest = rest[n:]
	}
	return head, rest, nil
}

// decodeEntry returns an entry's head and the payloads, which alias data.
func decodeEntry(data []byte) (head entryHead, payloads [][]byte, err error) {
	head, rest, err := cutEntryHead(data)
	if err != nil {
		return head, nil, err
	}
	r := decoder{buf: rest}
	count := r.uvarint()
	if count > uint64(len(r.buf)) {
		return head, nil, errEntry
	}
	payloads = make([][]byte, count)
	for i := range payloads {
		payloads[i] = r.bytes()
	}
	if r.bad || len(r.buf) > 0 {
		return head, nil, errEntry
	}
	return head, payloads, nil
}
