package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/genuineh/aikv/node/metaraft"
)

// folderPast is the lineage of the data folder, in a file of its own: a line for
// each incarnation, oldest first, after one with the format. See metaraft.Lineage.
type folderPast struct {
	path string
	log  *slog.Logger

	mu  sync.Mutex // held to write the file
	now atomic.Pointer[pastText]
}

// pastText is a lineage and what it is in a hello.
type pastText struct {
	lineage metaraft.Lineage
	hello   string
}

const (
	pastFile   = "INCARNATION"
	pastFormat = "1"
	// maxLineage bounds how many starts are remembered of which nobody can say
	// whether MetaRaft recorded them.
	maxLineage = 1024
)

// openPast reads the lineage and adds the present start. It is on disk before the
// node says anything to anybody.
func openPast(root string, log *slog.Logger) (*folderPast, error) {
	p := &folderPast{path: filepath.Join(root, pastFile), log: log}
	lineage, err := p.read()
	if err != nil {
		return nil, err
	}
	known := len(lineage) > 0
	next := append(lineage[:len(lineage):len(lineage)], metaraft.Incarnation{Start: lineage.Now().Start + 1, Mark: randomID()})
	if len(next) > maxLineage {
		next = append(next[:1:1], next[2:]...) // the first one is known to be recorded
	}
	switch err := p.write(next); {
	case known && errors.Is(err, syscall.ENOSPC):
		// The node must start, or it could not make room. A copy that is made of
		// the folder as it is now is told apart when it is started.
		log.Warn("the disk is full: this start of the node is not told apart from the one before", "file", p.path)
		next = lineage
	case err != nil:
		return nil, err
	}
	p.now.Store(&pastText{next, encodeLineage(next)})
	return p, nil
}

// lineage returns that of the folder; a nil past has none.
func (p *folderPast) lineage() metaraft.Lineage {
	if p == nil {
		return nil
	}
	return p.now.Load().lineage
}

// hello returns the lineage as other nodes read it.
func (p *folderPast) hello() string {
	if p == nil {
		return ""
	}
	return p.now.Load().hello
}

// recorded forgets what came before an incarnation that MetaRaft has recorded.
func (p *folderPast) recorded(i metaraft.Incarnation) {
	if p == nil || len(p.lineage()) == 1 || p.lineage().Now() != i {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	next := metaraft.Lineage{i}
	if err := p.write(next); err != nil {
		p.log.Warn("cannot note that MetaRaft has recorded this start of the node; trying again", "error", err)
		return
	}
	p.now.Store(&pastText{next, encodeLineage(next)})
}

func (p *folderPast) read() (metaraft.Lineage, error) {
	text, err := os.ReadFile(p.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	format, rest, _ := strings.Cut(string(text), "\n")
	if format != pastFormat {
		return nil, fmt.Errorf("%s has format %.20q: %w", p.path, format, errNewer)
	}
	var lineage metaraft.Lineage
	for line := range strings.Lines(rest) {
		var i metaraft.Incarnation
		if n, err := fmt.Sscanf(line, "%d %x\n", &i.Start, &i.Mark); n != 2 || err != nil || i.Start <= lineage.Now().Start {
			return nil, fmt.Errorf("%s is damaged", p.path)
		}
		lineage = append(lineage, i)
	}
	return lineage, nil
}

// write replaces the file, durably.
func (p *folderPast) write(lineage metaraft.Lineage) error {
	text := []byte(pastFormat + "\n")
	for _, i := range lineage {
		text = fmt.Appendf(text, "%d %016x\n", i.Start, i.Mark)
	}
	part := p.path + ".new"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(part)
		return err
	}
	if err := os.Rename(part, p.path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(p.path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// encodeLineage makes 16 bytes of each incarnation.
func encodeLineage(lineage metaraft.Lineage) string {
	var b []byte
	for _, i := range lineage {
		b = binary.LittleEndian.AppendUint64(b, i.Start)
		b = binary.LittleEndian.AppendUint64(b, i.Mark)
	}
	return string(b)
}

// decodeLineage reads what encodeLineage made; ok is false for anything else.
func decodeLineage(text string) (lineage metaraft.Lineage, ok bool) {
	if len(text)%16 != 0 || len(text) > 16*maxLineage {
		return nil, false
	}
	for b := []byte(text); len(b) > 0; b = b[16:] {
		i := metaraft.Incarnation{Start: binary.LittleEndian.Uint64(b), Mark: binary.LittleEndian.Uint64(b[8:])}
		if i.Start <= lineage.Now().Start {
			return nil, false
		}
		lineage = append(lineage, i)
	}
	return lineage, true
}
