package format

import (
	"errors"
	"fmt"
	"strings"

	"qpt/format/graph"
)

// Main is the name of the program that a file of one model has. Others may stand beside it, such as "vision" or
// "decoder"; all share the tensor directory.
const Main = "main"

// programPrefix begins the section names of programs other than Main.
const programPrefix = "graph."

// programOf is the program whose graph a section of that name holds, "" for none.
func programOf(section string) string {
	if section == KindGraph.String() {
		return Main
	}
	name, ok := strings.CutPrefix(section, programPrefix)
	if !ok || name == Main || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return ""
	}
	return name
}

// Programs lists the programs in the order of their sections.
func (f *File) Programs() (names []string) {
	for _, s := range f.sections {
		if s.Kind == KindGraph {
			names = append(names, programOf(s.Name))
		}
	}
	return names
}

// Program reads and verifies the graph of a program. ErrMissing says which there are; what this version does not
// know (an op, an attribute) matches ErrUnsupported.
func (f *File) Program(name string) (*graph.Graph, error) {
	section := programPrefix + name
	if name == Main {
		section = KindGraph.String()
	}
	i, ok := f.index[section]
	if !ok || f.sections[i].Kind != KindGraph {
		return nil, fmt.Errorf("%s: %w: program %q; it has %q", f.path, ErrMissing, name, f.Programs())
	}
	b, err := f.Data(i)
	if err != nil {
		return nil, err
	}
	g, err := graph.Unmarshal(b)
	switch {
	case errors.Is(err, graph.ErrNewer):
		return nil, f.wrap(i, fmt.Errorf("%w: %w; use a newer qpt", ErrNewGraph, err))
	case err != nil:
		return nil, f.wrap(i, fmt.Errorf("%w: %w", ErrGraph, err))
	}
	return g, nil
}

// WriteProgram writes the graph of a program.
func (w *Writer) WriteProgram(name string, g *graph.Graph) error {
	section := programPrefix + name
	if name == Main {
		section = KindGraph.String()
	}
	b, err := graph.Marshal(g)
	if err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	return w.Put(KindGraph, section, Zstd, b)
}
