package format

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"runtime"

	"github.com/klauspost/compress/zstd"

	"qpt/internal/outfile"
)

// WriteOptions are the options of Create; the zero value is good.
type WriteOptions struct {
	// Threads compresses zstd sections, 0 means all processors. It does not
	// change the file's bytes.
	Threads int
}

// Writer writes a new file. Sections are written one after the other.
type Writer struct {
	path     string
	file     *outfile.File // nil after Commit or Abort
	buf      *bufio.Writer
	off      int64 // bytes written so far
	sections []Section
	open     *SectionWriter
	threads  int
	enc      *zstd.Encoder // made at the first zstd section
	err      error         // the first failure
}

// Create starts a file that will replace path when Commit succeeds; until then see package outfile.
// Its error matches outfile.ErrBusy when another process writes the same file.
func Create(path string, opt WriteOptions) (*Writer, error) {
	w := &Writer{path: path, threads: opt.Threads}
	if w.threads <= 0 {
		w.threads = runtime.GOMAXPROCS(0)
	}
	var err error
	if w.file, err = outfile.Create(path); err != nil {
		return nil, err
	}
	w.buf = bufio.NewWriterSize(w.file, 1<<20)
	w.zeros(headerSize) // its place; filled in by Commit
	return w, w.err
}

// write appends b to the file.
func (w *Writer) write(b []byte) {
	if w.err == nil {
		_, w.err = w.buf.Write(b)
		w.off += int64(len(b))
	}
}

func (w *Writer) zeros(n int64) {
	var z [pageAlign]byte
	for ; n > 0 && w.err == nil; n -= min(n, pageAlign) {
		w.write(z[:min(n, pageAlign)])
	}
}

// Section starts a section; close it before the next one starts.
func (w *Writer) Section(kind Kind, name string, enc Encoding) (*SectionWriter, error) {
	if w.err == nil {
		w.err = w.start(kind, name, enc)
	}
	if w.err != nil {
		return nil, fmt.Errorf("%s: section %q: %w", w.path, name, w.err)
	}
	return w.open, nil
}

func (w *Writer) start(kind Kind, name string, enc Encoding) error {
	if w.file == nil {
		return os.ErrClosed
	}
	if w.open != nil {
		return fmt.Errorf("section %q is still open", w.open.s.Name)
	}
	if kind < KindMeta || kind > lastKind {
		return fmt.Errorf("%w: %d", ErrKind, kind)
	}
	if enc != Raw && enc != Zstd {
		return fmt.Errorf("%w: %d", ErrEncoding, enc)
	}
	if err := checkName(kind, name); err != nil {
		return err
	}
	for _, s := range w.sections {
		if s.Name == name {
			return ErrDuplicate
		}
	}
	if len(w.sections) == maxSections {
		return fmt.Errorf("%w: more than %d sections", ErrTable, maxSections)
	}
	s := &SectionWriter{w: w, sha: sha256.New(), s: Section{Name: name, Kind: kind, Encoding: enc, Align: wantAlign(kind, enc)}}
	w.zeros(pad(w.off, s.s.Align) - w.off)
	s.s.Offset = w.off
	w.open = s
	if enc == Zstd && w.enc == nil {
		var err error
		if w.enc, err = newEncoder(w.threads); err != nil {
			return err
		}
	}
	return w.err
}

// Put writes a whole section.
func (w *Writer) Put(kind Kind, name string, enc Encoding, data []byte) error {
	s, err := w.Section(kind, name, enc)
	if err != nil {
		return err
	}
	if _, err := s.Write(data); err != nil {
		return err
	}
	return s.Close()
}

// Commit writes the table and the header, and puts the file in its place once
// it is on the disk. After a failure nothing is left behind.
func (w *Writer) Commit() error {
	if err := w.commit(); err != nil {
		w.Abort()
		return fmt.Errorf("%s: %w", w.path, err)
	}
	return nil
}

func (w *Writer) commit() error {
	if w.file == nil {
		return os.ErrClosed
	}
	if w.open != nil && w.err == nil {
		w.err = fmt.Errorf("section %q is still open", w.open.s.Name)
	}
	if w.err == nil {
		w.err = checkDecoded(w.sections)
	}
	w.zeros(pad(w.off, minAlign) - w.off)
	at := w.off
	var table []byte
	for i := range w.sections {
		table = append(table, encodeEntry(&w.sections[i])...)
	}
	w.write(table)
	if w.err != nil {
		return w.err
	}
	if err := w.buf.Flush(); err != nil {
		return err
	}
	if _, err := w.file.WriteAt(encodeHeader(table, at), 0); err != nil {
		return err
	}
	if err := w.file.Commit(); err != nil {
		return err
	}
	w.file = nil
	return nil
}

// Abort removes what was written. It does nothing after Commit.
func (w *Writer) Abort() {
	if w.file == nil {
		return
	}
	w.file.Abort()
	w.file = nil
	w.err = errors.Join(w.err, os.ErrClosed)
}

// SectionWriter writes the decoded bytes of one section.
type SectionWriter struct {
	w   *Writer
	s   Section
	crc uint32
	sha hash.Hash
	buf []byte // zstd: what is not yet compressed, up to one chunk a thread
}

// Offset returns the number of bytes written so far, as Part.Offset counts.
func (s *SectionWriter) Offset() int64 { return s.s.Size }

// Align writes zeros up to the next multiple of n <= 4096.
func (s *SectionWriter) Align(n int64) error {
	_, err := s.Write(make([]byte, pad(s.s.Size, n)-s.s.Size))
	return err
}

// Write appends bytes to the section.
func (s *SectionWriter) Write(b []byte) (int, error) {
	if s.w.open != s {
		return 0, fmt.Errorf("%s: section %q: %w", s.w.path, s.s.Name, os.ErrClosed)
	}
	n := len(b)
	s.s.Size += int64(n)
	s.sha.Write(b)
	if s.s.Encoding == Raw {
		s.store(b)
		return n, s.fail()
	}
	for limit := s.w.threads * chunk; len(b) > 0; {
		k := min(len(b), limit-len(s.buf))
		s.buf = append(s.buf, b[:k]...)
		if b = b[k:]; len(s.buf) == limit {
			s.compress()
		}
	}
	return n, s.fail()
}

// compress writes the buffered bytes as frames, one a chunk, made in parallel.
func (s *SectionWriter) compress() {
	frames := make([][]byte, (len(s.buf)+chunk-1)/chunk)
	parallel(len(frames), s.w.threads, func(i int) {
		frames[i] = s.w.enc.EncodeAll(s.buf[i*chunk:min((i+1)*chunk, len(s.buf))], nil)
	})
	for _, f := range frames {
		s.store(f)
	}
	s.buf = s.buf[:0]
}

// store appends stored bytes.
func (s *SectionWriter) store(b []byte) {
	s.crc = crc32.Update(s.crc, castagnoli, b)
	s.s.Stored += int64(len(b))
	s.w.write(b)
}

// Close ends the section.
func (s *SectionWriter) Close() error {
	if s.w.open != s {
		return fmt.Errorf("%s: section %q: %w", s.w.path, s.s.Name, os.ErrClosed)
	}
	if len(s.buf) > 0 {
		s.compress()
	}
	if s.s.Encoding == Zstd && s.s.Size > maxSize(s.s.Stored) && s.w.err == nil {
		s.w.err = fmt.Errorf("%w: %d bytes shrink to %d; store the section raw", ErrSize, s.s.Size, s.s.Stored)
	}
	s.s.CRC = s.crc
	s.sha.Sum(s.s.SHA256[:0])
	s.w.sections = append(s.w.sections, s.s)
	s.w.open = nil
	return s.fail()
}

func (s *SectionWriter) fail() error {
	if s.w.err != nil {
		return fmt.Errorf("%s: section %q: %w", s.w.path, s.s.Name, s.w.err)
	}
	return nil
}

var _ io.WriteCloser = (*SectionWriter)(nil)
