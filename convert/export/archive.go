// Package export reads what torch.export.save writes, a .pt2 archive, and makes a graph of it.
//
// The archive is a ZIP of JSON and raw tensors; records that are Python pickles are never read, and refused by name where one is
// needed. Open checks all that it uses: sizes before memory is taken, checksums, strides against records, every op and argument by name.
//
//	a, err := export.Open("resnet50.pt2")
//	a.Graph, a.Tensors
//
// Files: archive.go (ZIP), model.go (JSON), constant.go (numbers that are known), value.go (how a tensor of PyTorch lies in a value of the
// graph), program.go (the walk over the nodes, views and in-place ops), op_*.go (what each op becomes).
package export

import (
	"archive/zip"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"qpt/convert/stored"
	"qpt/format/graph"
	"qpt/internal/strictjson"
)

// ErrArchive is matched by errors about files that are no sound archive of a version that is read.
var ErrArchive = errors.New("bad torch.export archive")

// ErrUnsupported is matched by errors about programs that ask for what is not known.
var ErrUnsupported = errors.New("unsupported program")

// Limits, checked before memory is taken.
const (
	maxJSON    = 128 << 20 // bytes of a JSON record
	maxRecords = 1 << 17
	maxRecord  = 8 << 30 // bytes of a tensor's record
	maxNodes   = 1 << 15
)

// Archive is a program of an archive.
type Archive struct {
	Name    string
	Graph   *graph.Graph
	Tensors []*stored.Tensor // the params of Graph
	Static  []Static         // values that the program quantizes
	File    stored.File
	Notes   []string

	f *os.File
}

// Close releases the file.
func (a *Archive) Close() error { return a.f.Close() }

// Open reads the program of an archive.
func Open(path string) (_ *Archive, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is no regular file", ErrArchive, path)
	}
	a, err := Read(f, st.Size(), path)
	if err != nil {
		return nil, err
	}
	a.f = f
	a.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	a.File = stored.File{Path: path, Size: st.Size(), Reader: func() io.Reader { return io.NewSectionReader(f, 0, st.Size()) }}
	return a, nil
}

// Read is Open on bytes; name is for messages.
func Read(r io.ReaderAt, size int64, name string) (*Archive, error) {
	z, err := openZip(r, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p, err := z.program()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	g, err := p.run()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, t := range p.tensors {
		t.File = name
	}
	return &Archive{Graph: g, Tensors: p.tensors, Static: p.static, Notes: p.notes}, nil
}

// records are those of an archive, by their names under its root.
type records struct {
	files map[string]*zip.File
	r     io.ReaderAt
}

func openZip(r io.ReaderAt, size int64) (*records, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	if len(z.File) == 0 || len(z.File) > maxRecords {
		return nil, fmt.Errorf("%w: %d records, must be 1 to %d", ErrArchive, len(z.File), maxRecords)
	}
	root, _, ok := strings.Cut(z.File[0].Name, "/")
	list := &records{map[string]*zip.File{}, r}
	for _, f := range z.File {
		if f.Name == "serialized_exported_program.json" || strings.HasSuffix(f.Name, "/serialized_exported_program.json") {
			return nil, fmt.Errorf("%w: it was saved by PyTorch 2.7 or earlier, with the weights as Python pickles, which are not read: save it again with torch 2.9 or later", ErrArchive)
		}
		name, under := strings.CutPrefix(f.Name, root+"/")
		switch {
		case !ok || !under || name == "" || strings.Contains(name, ".."):
			return nil, fmt.Errorf("%w: record %.100q does not lie under the root %.60q", ErrArchive, f.Name, root)
		case list.files[name] != nil:
			return nil, fmt.Errorf("%w: record %.100q is there twice", ErrArchive, f.Name)
		case f.Method != zip.Store && f.Method != zip.Deflate:
			return nil, fmt.Errorf("%w: record %.100q is compressed by method %d, must be stored or deflated", ErrArchive, f.Name, f.Method)
		case f.Flags&1 != 0:
			return nil, fmt.Errorf("%w: record %.100q is encrypted", ErrArchive, f.Name)
		}
		list.files[name] = f
	}
	if err := apart(z.File); err != nil {
		return nil, err
	}
	for name, want := range map[string]string{"archive_format": "pt2", "archive_version": "0", "byteorder": "little"} {
		data, err := list.read(name, 64)
		if err != nil {
			return nil, err
		}
		if got := strings.TrimSpace(string(data)); got != want {
			return nil, fmt.Errorf("%w: %s is %.20q, must be %q", ErrArchive, name, got, want)
		}
	}
	return list, nil
}

// apart checks that no byte of the archive is of two records: few bytes could stand for many otherwise.
func apart(files []*zip.File) error {
	files = slices.Clone(files)
	from := map[*zip.File]int64{}
	for _, f := range files {
		at, err := f.DataOffset()
		if err != nil {
			return fmt.Errorf("%w: record %.100q: %w", ErrArchive, f.Name, err)
		}
		from[f] = at
	}
	slices.SortFunc(files, func(a, b *zip.File) int { return cmp.Compare(from[a], from[b]) })
	for i, f := range files[1:] {
		if before := files[i]; before.CompressedSize64 > uint64(from[f]-from[before]) {
			return fmt.Errorf("%w: records %.100q and %.100q overlap", ErrArchive, before.Name, f.Name)
		}
	}
	return nil
}

// open begins to read a record of at most so many bytes; its checksum is checked at its end.
func (l *records) open(name string, most int64) (io.ReadCloser, int64, error) {
	f := l.files[name]
	if f == nil {
		return nil, 0, fmt.Errorf("%w: record %q is missing", ErrArchive, name)
	}
	if f.UncompressedSize64 > uint64(most) || f.Method == zip.Deflate && f.UncompressedSize64/1032 > f.CompressedSize64 {
		return nil, 0, fmt.Errorf("%w: record %q claims %d bytes, at most %d are read", ErrArchive, name, f.UncompressedSize64, most)
	}
	r, err := f.Open()
	if err != nil {
		return nil, 0, fmt.Errorf("%w: record %q: %w", ErrArchive, name, err)
	}
	return r, int64(f.UncompressedSize64), nil
}

// read returns a record of at most so many bytes, its checksum checked.
func (l *records) read(name string, most int64) ([]byte, error) {
	r, n, err := l.open(name, most)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, n+1)) // grows with what is there, whatever is claimed
	if err == nil && int64(len(data)) != n {
		err = fmt.Errorf("%d bytes, the directory says %d", len(data), n)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: record %q: %w", ErrArchive, name, err)
	}
	return data, nil
}

// check reads a record for its size and checksum alone.
func (l *records) check(name string) error {
	r, n, err := l.open(name, maxRecord)
	if err != nil {
		return err
	}
	defer r.Close()
	got, err := io.Copy(io.Discard, io.LimitReader(r, n+1))
	if err == nil && got != n {
		err = fmt.Errorf("%d bytes, the directory says %d", got, n)
	}
	if err != nil {
		return fmt.Errorf("%w: record %q: %w", ErrArchive, name, err)
	}
	return nil
}

// part reads bytes of a checked record; of one that is not compressed no others.
func (l *records) part(name string, from, to int64) ([]byte, error) {
	f := l.files[name]
	if f.Method != zip.Store {
		data, err := l.read(name, maxRecord)
		if err != nil {
			return nil, err
		}
		return data[from:to], nil
	}
	at, err := f.DataOffset()
	data := make([]byte, to-from)
	if err == nil {
		_, err = io.ReadFull(io.NewSectionReader(l.r, at+from, to-from), data)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: record %q: %w", ErrArchive, name, err)
	}
	return data, nil
}

// json decodes a record; unknown keys of objects are those of newer versions.
func (l *records) json(name string, to any) error {
	data, err := l.read(name, maxJSON)
	if err != nil {
		return err
	}
	if err := (strictjson.Rules{}).Check(data); err != nil {
		return fmt.Errorf("%w: record %q: %w", ErrArchive, name, err)
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("%w: record %q: %w", ErrArchive, name, err)
	}
	return nil
}

// program finds the only program and its tensors.
func (l *records) program() (*program, error) {
	var names []string
	for name := range l.files {
		if n, ok := strings.CutPrefix(name, "models/"); ok {
			if n, ok = strings.CutSuffix(n, ".json"); ok {
				names = append(names, n)
			}
		}
		switch {
		case strings.HasPrefix(name, "data/weights/") && strings.HasSuffix(name, ".pt"):
			return nil, fmt.Errorf("%w: record %q is a Python pickle, which is not read: save the program again with torch 2.9 or later", ErrArchive, name)
		case strings.Contains(name, "custom_obj_") || strings.Contains(name, "opaque_obj_"):
			return nil, fmt.Errorf("%w: record %q is a custom object, a Python pickle, which is not read: export a program of tensors alone", ErrUnsupported, name)
		}
	}
	if len(names) == 0 {
		for name := range l.files {
			if strings.HasPrefix(name, "data/aotinductor/") {
				return nil, fmt.Errorf("%w: a package of AOTInductor: compiled code without a graph; give what torch.export.save wrote", ErrArchive)
			}
		}
		return nil, fmt.Errorf("%w: no program under models/", ErrArchive)
	}
	if len(names) > 1 {
		return nil, fmt.Errorf("%w: %d programs in one archive (%.60q, %.60q ..): save each alone", ErrUnsupported, len(names), names[0], names[1])
	}
	p := &program{records: l}
	if err := l.json("models/"+names[0]+".json", &p.model); err != nil {
		return nil, err
	}
	if v := p.model.Schema.Major; v != 8 {
		return nil, fmt.Errorf("%w: schema version %d.%d, known is 8: save the program with a torch of that version", ErrUnsupported, v, p.model.Schema.Minor)
	}
	for _, part := range []struct {
		dir string
		to  *map[string]tensorRecord
	}{{"weights", &p.weights}, {"constants", &p.constants}} {
		var config struct{ Config map[string]tensorRecord }
		if err := l.json(fmt.Sprintf("data/%s/%s_%s_config.json", part.dir, names[0], part.dir), &config); err != nil {
			return nil, err
		}
		for name, t := range config.Config {
			if t.Pickle {
				return nil, fmt.Errorf("%w: tensor %.100q is stored as a Python pickle (a tensor subclass), which is not read: export a model of plain tensors", ErrUnsupported, name)
			}
			t.Path = "data/" + part.dir + "/" + t.Path
			config.Config[name] = t
		}
		*part.to = config.Config
	}
	return p, nil
}

// numbers reads a tensor: its values, row-major, as float64, and whether they are integers.
func (l *records) numbers(name string, t tensorRecord) (*constant, error) {
	m := t.Meta
	bad := func(s string, v ...any) error {
		return fmt.Errorf("%w: tensor %.100q: %s", ErrArchive, name, fmt.Sprintf(s, v...))
	}
	item, kind := dtypes[m.DType].size, dtypes[m.DType]
	if item == 0 {
		return nil, fmt.Errorf("%w: tensor %.100q: dtype %d is not read", ErrUnsupported, name, m.DType)
	}
	if m.Layout != 7 {
		return nil, fmt.Errorf("%w: tensor %.100q: layout %d, must be 7, strided", ErrUnsupported, name, m.Layout)
	}
	if len(m.Sizes) != len(m.Strides) || len(m.Sizes) > 8 {
		return nil, bad("%d sizes and %d strides", len(m.Sizes), len(m.Strides))
	}
	c := &constant{integer: kind.integer}
	count, last := 1, m.Offset.number()
	if last < 0 {
		return nil, bad("offset %d", last)
	}
	for i := range m.Sizes {
		d, s := m.Sizes[i].number(), m.Strides[i].number()
		if d < 0 || s < 0 || d > math.MaxInt32 || s > math.MaxInt32 || d > 0 && count > (1<<31)/d {
			return nil, bad("size %d, stride %d of dimension %d", d, s, i)
		}
		c.shape = append(c.shape, d)
		c.stride = append(c.stride, s)
		count *= d
		last += max(d-1, 0) * s
	}
	if count == 0 {
		c.stride, c.data = strides(c.shape), &numerals{}
		return c, nil
	}
	f := l.files[t.Path]
	if f == nil {
		return nil, bad("its record %q is missing", t.Path)
	}
	if uint64(last) >= f.UncompressedSize64/uint64(item) {
		return nil, bad("its last element lies at %d, record %q has %d bytes of %d each", last, t.Path, f.UncompressedSize64, item)
	}
	if err := l.check(t.Path); err != nil {
		return nil, err
	}
	c.offset = m.Offset.number()
	c.data = &numerals{stored: f.Method == zip.Store, part: func(from, to int) (func(i int) float64, error) {
		raw, err := l.part(t.Path, int64(from)*int64(item), int64(to)*int64(item))
		return func(i int) float64 { return kind.decode(raw[(i-from)*item:]) }, err
	}}
	if count < 1<<16 { // small ones stay
		c = fresh(c.shape, c.values(), c.integer)
	}
	return c, nil
}
