package frontend

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// socketReader reads a plain socket by readNow. It is for one goroutine.
type socketReader struct {
	raw     syscall.RawConn
	attempt func(fd uintptr) bool // s.read, made once

	dst []byte
	n   int
	err error
}

// reader returns what reads conn best. Read deadlines hold as for conn.Read.
func reader(conn net.Conn) io.Reader {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return conn // TLS
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return conn
	}
	s := &socketReader{raw: raw}
	s.attempt = s.read
	return s
}

// Read implements io.Reader.
func (s *socketReader) Read(b []byte) (int, error) {
	s.dst, s.n, s.err = b, 0, nil
	if err := s.raw.Read(s.attempt); err != nil {
		return 0, err
	}
	s.dst = nil
	return s.n, s.err
}

// read tries once; false means that there is nothing yet.
func (s *socketReader) read(fd uintptr) bool {
	for {
		n, err := readNow(fd, s.dst)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return false
		case err == nil && n == 0:
			s.err = io.EOF
		default:
			s.n, s.err = n, err
		}
		return true
	}
}
