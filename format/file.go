package format

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"runtime"
	"slices"
	"sync"
	"unsafe"
)

// File is an open .qpt file. Its methods may be called from several
// goroutines, except Close.
type File struct {
	path     string
	b        []byte // the whole file
	unmap    func([]byte) error
	sections []Section
	index    map[string]int
	state    []state
}

// state is what is known of a section after its first use.
type state struct {
	check    sync.Once
	checkErr error

	decode    sync.Once
	decodeErr error
	data      []byte             // decoded bytes of a zstd section
	free      func([]byte) error // of data, nil when there is none
}

// Open maps the file and checks its header and section table. It reads no
// section yet.
func Open(path string) (*File, error) {
	f, err := open(path)
	if err != nil && !errors.As(err, new(*os.PathError)) { // those name the path already
		err = fmt.Errorf("%s: %w", path, err)
	}
	return f, err
}

func open(path string) (*File, error) {
	fi, err := os.Stat(path) // before opening: a pipe would block
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is no regular file", ErrMagic)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if fi, err = file.Stat(); err != nil {
		return nil, err
	}
	n := int(fi.Size())
	if n == 0 || int64(n) != fi.Size() {
		return nil, fmt.Errorf("%w: %d bytes", ErrTruncated, fi.Size())
	}
	f := &File{path: path}
	if f.b, f.unmap, err = mapFile(file, n); err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", n, err)
	}
	if err := guard(f.init); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// OpenBytes reads a file that lies in memory; name stands for its path in messages. It keeps b, which must
// not change before Close, or a copy if b does not begin at a multiple of 64.
func OpenBytes(name string, b []byte) (*File, error) {
	f := &File{path: name, unmap: func([]byte) error { return nil }}
	var err error
	switch {
	case len(b) == 0:
		err = fmt.Errorf("%w: 0 bytes", ErrTruncated)
	case uintptr(unsafe.Pointer(&b[0]))%64 != 0:
		if f.b, f.unmap, err = alloc(len(b)); err == nil {
			copy(f.b, b)
		}
	default:
		f.b = b
	}
	if err == nil {
		err = guard(f.init)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

// init fills in f from its bytes.
func (f *File) init() (err error) {
	if f.sections, err = parse(f.b); err != nil {
		return err
	}
	f.state = make([]state, len(f.sections))
	f.index = make(map[string]int, len(f.sections))
	for i, s := range f.sections {
		f.index[s.Name] = i
	}
	return nil
}

// Close ends the lifetime of every byte that Data and Part returned.
func (f *File) Close() error {
	var errs []error
	for i := range f.state {
		if s := &f.state[i]; s.free != nil {
			errs = append(errs, s.free(s.data))
		}
	}
	f.state, f.sections, f.index = nil, nil, nil
	if f.b != nil {
		errs = append(errs, f.unmap(f.b))
		f.b = nil
	}
	return errors.Join(errs...)
}

// Path returns the path given to Open.
func (f *File) Path() string { return f.path }

// Size returns the length of the file.
func (f *File) Size() int64 { return int64(len(f.b)) }

// Sections returns the section table; the caller must not change it.
func (f *File) Sections() []Section { return f.sections }

// Section returns the number of the section of that name, or ErrMissing.
func (f *File) Section(name string) (int, error) {
	i, ok := f.index[name]
	if !ok {
		return 0, fmt.Errorf("%s: %w: %q", f.path, ErrMissing, name)
	}
	return i, nil
}

// Data returns the bytes of section i. The first call checks the CRC-32C of
// the stored bytes (some 0.1 s a GB) and decodes a zstd section into memory
// that stays until Close, on all processors.
func (f *File) Data(i int) ([]byte, error) {
	if err := f.check(i); err != nil {
		return nil, err
	}
	s, st := &f.sections[i], &f.state[i]
	if s.Encoding == Raw {
		return f.stored(i), nil
	}
	st.decode.Do(func() {
		if st.decodeErr = guard(func() error { return f.decode(i) }); st.decodeErr != nil {
			st.decodeErr = f.wrap(i, st.decodeErr)
		}
	})
	return st.data, st.decodeErr
}

func (f *File) decode(i int) error {
	s, st := &f.sections[i], &f.state[i]
	frames, err := splitFrames(f.stored(i), s.Size)
	if err != nil || s.Size == 0 {
		return err
	}
	n := int(s.Size)
	if int64(n) != s.Size {
		return fmt.Errorf("%d bytes do not fit this machine's memory", s.Size)
	}
	b, free, err := alloc(n)
	if err != nil {
		return fmt.Errorf("allocate %d bytes: %w", n, err)
	}
	if err := decodeFrames(frames, b); err != nil {
		return errors.Join(err, free(b))
	}
	st.data, st.free = b, free
	return nil
}

// Part returns the bytes of one part of a tensor.
func (f *File) Part(p Part) ([]byte, error) {
	i, err := f.Section(p.Section)
	if err != nil {
		return nil, err
	}
	b, err := f.Data(i)
	if err != nil {
		return nil, err
	}
	if p.Offset < 0 || p.Size < 0 || p.Offset > int64(len(b)) || p.Size > int64(len(b))-p.Offset {
		return nil, f.wrap(i, fmt.Errorf("%w: %d bytes at 0x%x", ErrPartBounds, p.Size, p.Offset))
	}
	return b[p.Offset : p.Offset+p.Size : p.Offset+p.Size], nil
}

// Verify reads the whole file: every checksum, the SHA-256 of every section's
// decoded bytes, every byte of padding, and the typed sections. progress may
// be nil; it stops with ctx's error when ctx is done.
func (f *File) Verify(ctx context.Context, progress func(done, total int64)) error {
	return guard(func() error { return f.verify(ctx, progress) })
}

func (f *File) verify(ctx context.Context, progress func(done, total int64)) error {
	end := int64(headerSize)
	for i, s := range f.sections {
		if !zero(f.b[end:s.Offset]) {
			return f.wrap(i, fmt.Errorf("%w: before 0x%x", ErrPadding, s.Offset))
		}
		end = s.Offset + s.Stored
	}
	if table := f.Size() - int64(len(f.sections))*entrySize; !zero(f.b[end:table]) {
		return fmt.Errorf("%s: %w: before 0x%x", f.path, ErrPadding, table)
	}
	tick := f.ticker(progress)
	for i, s := range f.sections {
		h := sha256.New()
		if err := f.stream(i, func(b []byte) error {
			h.Write(b)
			tick(len(b))
			return ctx.Err()
		}); err != nil {
			return err
		}
		if got := h.Sum(nil); string(got) != string(s.SHA256[:]) {
			return f.wrap(i, fmt.Errorf("%w: %x, want %x", ErrDigest, got, s.SHA256))
		}
	}
	for _, s := range f.sections {
		var err error
		switch s.Kind {
		case KindMeta:
			_, err = f.Meta()
		case KindTensors:
			_, err = f.Tensors()
		case KindReferences:
			_, err = f.References()
		case KindActivations:
			_, err = f.Activations()
		case KindRewrites:
			_, err = f.Rewrites()
		case KindGraph:
			_, err = f.Program(programOf(s.Name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ticker returns a function that adds to the decoded bytes done and reports them.
func (f *File) ticker(progress func(done, total int64)) func(n int) {
	var done, total int64
	for _, s := range f.sections {
		total += s.Size
	}
	return func(n int) {
		if done += int64(n); progress != nil {
			progress(done, total)
		}
	}
}

// stream hands the decoded bytes of section i to fn in order, a few chunks at a time.
func (f *File) stream(i int, fn func(b []byte) error) error {
	return guard(func() error { return f.streamed(i, fn) })
}

func (f *File) streamed(i int, fn func(b []byte) error) error {
	if err := f.check(i); err != nil {
		return err
	}
	b := f.stored(i)
	if f.sections[i].Encoding == Raw {
		for len(b) > 0 {
			n := min(len(b), chunk)
			if err := fn(b[:n]); err != nil {
				return err
			}
			b = b[n:]
		}
		return nil
	}
	frames, err := splitFrames(b, f.sections[i].Size)
	if err != nil {
		return f.wrap(i, err)
	}
	var buf []byte
	for len(frames) > 0 {
		batch := frames[:min(len(frames), runtime.GOMAXPROCS(0))]
		frames = frames[len(batch):]
		last := batch[len(batch)-1]
		n := int(last.off + last.size - batch[0].off)
		if cap(buf) < n {
			buf = make([]byte, n)
		}
		if err := decodeFrames(batch, buf[:n]); err != nil {
			return f.wrap(i, err)
		}
		if err := fn(buf[:n]); err != nil {
			return err
		}
	}
	return nil
}

// check compares the CRC-32C of section i, once.
func (f *File) check(i int) error {
	s, st := &f.sections[i], &f.state[i]
	st.check.Do(func() {
		err := guard(func() error {
			if got := checksum(f.stored(i)); got != s.CRC {
				return fmt.Errorf("%w: %08x, want %08x", ErrChecksum, got, s.CRC)
			}
			return nil
		})
		if err != nil {
			st.checkErr = f.wrap(i, err)
		}
	})
	return st.checkErr
}

// checksum is the CRC-32C of mapped memory, piece by piece: a byte of each line first, since those wait for memory
// all at once and checksums one after the other. A file in the page cache takes a sixth less time so.
func checksum(b []byte) (crc uint32) {
	var touch byte
	for piece := range slices.Chunk(b, 32<<10) {
		for i := 0; i < len(piece); i += 64 {
			touch |= piece[i]
		}
		crc = crc32.Update(crc, castagnoli, piece)
	}
	runtime.KeepAlive(touch)
	return crc
}

// stored returns the bytes of section i as they are in the file.
func (f *File) stored(i int) []byte {
	s := &f.sections[i]
	return f.b[s.Offset : s.Offset+s.Stored : s.Offset+s.Stored]
}

func (f *File) wrap(i int, err error) error {
	return fmt.Errorf("%s: section %q: %w", f.path, f.sections[i].Name, err)
}
