package convert

import (
	"sync/atomic"

	"qpt/format"
)

// stream writes the weight sections in the background, in order, while the
// next rows are computed. After a failure it takes calls and writes nothing;
// err tells. Its methods belong to one goroutine.
type stream struct {
	name string // of the open section
	off  int64  // bytes of it so far

	w    *format.Writer
	enc  format.Encoding
	ops  chan writeOp
	done chan struct{}
	free chan []byte // buffers for packed rows
	fail atomic.Pointer[error]
}

// writeOp is one step of writing: begin a section, append to it, or end it.
type writeOp struct {
	begin   string
	data    []byte
	aligned bool // data starts at a multiple of 64
	buffer  bool // data goes back to free
	end     bool
}

// newStream starts the writing. w must not be used until close has returned.
func newStream(w *format.Writer, enc format.Encoding) *stream {
	s := &stream{w: w, enc: enc, ops: make(chan writeOp, 8), done: make(chan struct{}), free: make(chan []byte, 2)}
	s.free <- nil
	s.free <- nil
	go s.run()
	return s
}

func (s *stream) run() {
	defer close(s.done)
	var section *format.SectionWriter
	write := func(op writeOp) (err error) {
		if op.begin != "" {
			section, err = s.w.Section(format.KindWeights, op.begin, s.enc)
			return err
		}
		if op.end {
			return section.Close()
		}
		if op.aligned {
			if err := section.Align(64); err != nil {
				return err
			}
		}
		_, err = section.Write(op.data)
		return err
	}
	for op := range s.ops {
		if s.fail.Load() == nil {
			if err := write(op); err != nil {
				s.fail.Store(&err)
			}
		}
		if op.buffer {
			s.free <- op.data
		}
	}
}

// err is the first failure so far.
func (s *stream) err() error {
	if err := s.fail.Load(); err != nil {
		return *err
	}
	return nil
}

// begin starts a section, end finishes it.
func (s *stream) begin(name string) {
	s.name, s.off = name, 0
	s.ops <- writeOp{begin: name}
}

func (s *stream) end() { s.ops <- writeOp{end: true} }

// put appends b, which must not change any more, and returns its place.
func (s *stream) put(role format.Role, b []byte) format.Part {
	p := s.place(role, len(b))
	s.ops <- writeOp{data: b, aligned: true}
	return p
}

// place is where the next size bytes go.
func (s *stream) place(role format.Role, size int) format.Part {
	s.off = (s.off + 63) &^ 63
	p := format.Part{Role: role, Section: s.name, Offset: s.off, Size: int64(size)}
	s.off += int64(size)
	return p
}

// buffer waits for one of the two buffers; putBuffer appends it and gives it back.
func (s *stream) buffer(size int) []byte {
	b := <-s.free
	if cap(b) < size {
		b = make([]byte, size)
	}
	return b[:size]
}

func (s *stream) putBuffer(b []byte, first bool) {
	s.ops <- writeOp{data: b, aligned: first, buffer: true}
}

// close waits for all writes and returns the first failure.
func (s *stream) close() error {
	close(s.ops)
	<-s.done
	return s.err()
}
