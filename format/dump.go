package format

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Dump prints the layout of f: offset, bytes and meaning of the header and the
// section table, then the sections and tensors in order. The text is the
// golden of the layout.
func Dump(w io.Writer, f *File) error {
	return guard(func() error { return dump(w, f) })
}

func dump(w io.Writer, f *File) error {
	d := &dumper{w: bufio.NewWriter(w), b: f.b}
	d.line("header")
	d.field(8, "magic")
	d.field(4, "format version %d", le.Uint32(f.b[8:]))
	d.field(4, "%d sections", len(f.sections))
	d.field(8, "required features: none")
	d.field(8, "section table at 0x%x", le.Uint64(f.b[24:]))
	d.field(8, "file of %d bytes", f.Size())
	d.field(16, "reserved")
	d.field(4, "CRC-32C of the table")
	d.field(4, "CRC-32C of the header")
	for _, s := range f.sections {
		if s.Offset > d.at {
			d.line("%08x  %d bytes of padding", d.at, s.Offset-d.at)
		}
		d.at = s.Offset + s.Stored
		d.line("%08x  %q: %s, %d bytes %s", s.Offset, s.Name, s.Kind, s.Stored, s.Encoding)
	}
	if table := f.Size() - int64(len(f.sections))*entrySize; table > d.at {
		d.line("%08x  %d bytes of padding", d.at, table-d.at)
		d.at = table
	}
	for i, s := range f.sections {
		d.line("table entry %d, %q", i, s.Name)
		d.field(4, "kind %d: %s", uint32(s.Kind), s.Kind)
		d.field(4, "encoding %d: %s", uint32(s.Encoding), s.Encoding)
		d.field(8, "offset 0x%x", s.Offset)
		d.field(8, "%d bytes stored", s.Stored)
		d.field(8, "%d bytes decoded", s.Size)
		d.field(4, "alignment %d", s.Align)
		d.field(4, "CRC-32C of the stored bytes")
		d.field(8, "reserved")
		d.field(32, "SHA-256 of the decoded bytes")
		d.field(nameSize, "name %q", s.Name)
	}
	d.line("%08x  end of file", d.at)
	if _, ok := f.index[KindTensors.String()]; ok {
		ts, err := f.Tensors()
		if err != nil {
			return err
		}
		for _, t := range ts {
			d.tensor(&t)
		}
	}
	return d.w.Flush() // the first write error sticks
}

type dumper struct {
	w  *bufio.Writer
	b  []byte
	at int64
}

func (d *dumper) line(format string, v ...any) { fmt.Fprintf(d.w, format+"\n", v...) }

// field prints the next n bytes, 16 a line, and their meaning beside the first line.
func (d *dumper) field(n int64, format string, v ...any) {
	text := "  " + fmt.Sprintf(format, v...)
	for end := d.at + n; d.at < end; text = "" {
		k := min(16, end-d.at)
		d.line("%s", strings.TrimRight(fmt.Sprintf("%08x  %-47s%s", d.at, fmt.Sprintf("% x", d.b[d.at:d.at+k]), text), " "))
		d.at += k
	}
}

func (d *dumper) tensor(t *Tensor) {
	d.line("tensor %q: %v %s%s, scheme %s%s%s", t.Name, t.Shape, t.Format, suffix(t.Group != 0, " group %d", t.Group),
		t.Scheme, suffix(t.SQNR != 0, ", SQNR %.2f dB", t.SQNR), suffix(t.Reason != "", ", kept because %s", t.Reason))
	for _, p := range t.Parts {
		d.line("  %-6s  %q +0x%x, %d bytes", p.Role, p.Section, p.Offset, p.Size)
	}
}

func suffix(ok bool, format string, v ...any) string {
	if !ok {
		return ""
	}
	return fmt.Sprintf(format, v...)
}
