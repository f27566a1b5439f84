package resp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Bounds on what a Reader accepts, so that a broken or hostile peer costs a
// bounded amount of memory and stack.
const (
	MaxBulkLen = 512 << 20 // bytes of one string
	MaxElems   = 64 << 20  // elements of one aggregate
	MaxDepth   = 32        // aggregates within aggregates
	maxLine    = 64 << 10  // bytes of one header, status or error line
)

// ErrProtocol is wrapped by what a Reader returns for bytes that are no reply.
var ErrProtocol = errors.New("protocol error")

// Reader reads replies, of RESP2 and RESP3 alike. It is for one goroutine.
type Reader struct{ r *bufio.Reader }

// NewReader returns a Reader of r's bytes.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, 16<<10)} }

// ReadValue reads one reply. At a clean end of the stream it returns io.EOF,
// in the middle of a reply io.ErrUnexpectedEOF. RESP3 attributes are skipped.
func (r *Reader) ReadValue() (Value, error) {
	v, err := r.read(0)
	return v, err
}

func (r *Reader) read(depth int) (Value, error) {
	if depth > MaxDepth {
		return Value{}, fmt.Errorf("%w: more than %d nested replies", ErrProtocol, MaxDepth)
	}
	line, err := r.line()
	if err != nil {
		if depth > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Value{}, err
	}
	if len(line) == 0 {
		return Value{}, fmt.Errorf("%w: an empty line", ErrProtocol)
	}
	text := string(line[1:])
	switch kind := line[0]; kind {
	case '+':
		return Simple(text), nil
	case '-':
		return Value{Kind: KindError, Str: []byte(text)}, nil
	case ':':
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return Value{}, fmt.Errorf("%w: bad integer %.40q", ErrProtocol, text)
		}
		return Int(n), nil
	case '_':
		return Null, nil
	case '#':
		if text != "t" && text != "f" {
			return Value{}, fmt.Errorf("%w: bad boolean %.40q", ErrProtocol, text)
		}
		return Bool(text == "t"), nil
	case ',':
		return Value{Kind: KindDouble, Str: []byte(text)}, nil
	case '(':
		return Value{Kind: KindBigNumber, Str: []byte(text)}, nil
	case '$', '=', '!':
		return r.readString(kind, text)
	case '*', '~', '%', '>', '|':
		return r.readElems(kind, text, depth)
	default:
		return Value{}, fmt.Errorf("%w: unexpected first byte %q", ErrProtocol, kind)
	}
}

// line returns the next line without its CRLF, valid until the next read.
func (r *Reader) line() ([]byte, error) {
	line, err := r.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		// Longer than the buffer: an error text, or garbage without end.
		long := append([]byte(nil), line...)
		for errors.Is(err, bufio.ErrBufferFull) && len(long) <= maxLine {
			line, err = r.r.ReadSlice('\n')
			long = append(long, line...)
		}
		line = long
	}
	if err != nil {
		if errors.Is(err, io.EOF) && len(line) > 0 {
			return nil, io.ErrUnexpectedEOF
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("%w: a line of more than %d bytes", ErrProtocol, maxLine)
		}
		return nil, err
	}
	if len(line) < 2 || line[len(line)-2] != '\r' {
		return nil, fmt.Errorf("%w: a line that does not end in CRLF", ErrProtocol)
	}
	return line[:len(line)-2], nil
}

func parseLen(text string, limit int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < -1 || n > limit {
		return 0, fmt.Errorf("%w: bad length %.40q", ErrProtocol, text)
	}
	return n, nil
}

func (r *Reader) readString(kind byte, text string) (Value, error) {
	n, err := parseLen(text, MaxBulkLen)
	if err != nil {
		return Value{}, err
	}
	if n < 0 {
		return Null, nil
	}
	b, err := r.readN(n)
	if err != nil {
		return Value{}, err
	}
	switch kind {
	case '!':
		return Value{Kind: KindError, Str: b}, nil
	case '=':
		if len(b) < 4 || b[3] != ':' {
			return Value{}, fmt.Errorf("%w: a verbatim text without its format", ErrProtocol)
		}
		return Value{Kind: KindVerbatim, Str: b[4:]}, nil
	default:
		return Bulk(b), nil
	}
}

// readN reads n bytes and the CRLF behind them. It allocates in steps, so that
// a length alone, without bytes to follow, costs no memory.
func (r *Reader) readN(n int) ([]byte, error) {
	const step = 1 << 20
	b := make([]byte, 0, min(n, step))
	for len(b) < n {
		grow := min(n-len(b), step)
		start := len(b)
		b = append(b, make([]byte, grow)...)
		if _, err := io.ReadFull(r.r, b[start:]); err != nil {
			return nil, unexpected(err)
		}
	}
	var end [2]byte
	if _, err := io.ReadFull(r.r, end[:]); err != nil {
		return nil, unexpected(err)
	}
	if end != [2]byte{'\r', '\n'} {
		return nil, fmt.Errorf("%w: a string that does not end in CRLF", ErrProtocol)
	}
	return b, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (r *Reader) readElems(kind byte, text string, depth int) (Value, error) {
	n, err := parseLen(text, MaxElems)
	if err != nil {
		return Value{}, err
	}
	if n < 0 {
		return NullArray, nil
	}
	if kind == '%' || kind == '|' {
		n *= 2
	}
	v := Value{Kind: elemKinds(kind), Elems: make([]Value, 0, min(n, 1024))}
	for range n {
		e, err := r.read(depth + 1)
		if err != nil {
			return Value{}, err
		}
		v.Elems = append(v.Elems, e)
	}
	if kind == '|' {
		return r.read(depth + 1) // what the attributes belong to
	}
	return v, nil
}

func elemKinds(kind byte) Kind {
	switch kind {
	case '%', '|':
		return KindMap
	case '~':
		return KindSet
	case '>':
		return KindPush
	default:
		return KindArray
	}
}

// Parse reads the one value that b encodes.
func Parse(b []byte) (Value, error) {
	in := bytes.NewReader(b)
	r := NewReader(in)
	v, err := r.ReadValue()
	if err == nil && (in.Len() > 0 || r.r.Buffered() > 0) {
		err = errors.New("resp: more than one value")
	}
	return v, err
}
