// Package hf turns a HuggingFace config.json into a graph.
//
// Load reads the configuration of a checkpoint's folder; its model_type picks
// the family, one file each (llama.go). Parsing is strict: a key that is not
// known, or a value that would change the mathematics and is not supported, is
// an error by name, never skipped (spec/checkpoint.md has the rule). Fit then
// fits the graph to what the checkpoint really contains.
//
//	m, err := hf.Load("Llama-3.2-1B")
//	ignored, err := m.Fit(tensors)
package hf

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"qpt/format/graph"
)

var (
	// ErrConfig is matched by errors about a broken configuration: syntax,
	// missing keys, wrong types, contradictions, numbers out of range.
	ErrConfig = errors.New("invalid config")
	// ErrUnsupported is matched by errors about a configuration that may be
	// sound but asks for what is not implemented, unknown keys included.
	ErrUnsupported = errors.New("unsupported config")
	// ErrTensors is matched by errors of Fit.
	ErrTensors = errors.New("tensors do not match the config")
)

// Model is what a configuration describes.
type Model struct {
	Name   string // of the folder
	Type   string // model_type
	Graph  *graph.Graph
	BOS    int // token put before a text, -1 for none
	EOS    []int
	MaxPos int // longest sequence the model was made for
	Vocab  int
	Notes  []string // what a reader of the files might not expect

	TokenizerClass string // tokenizer_class, "" if the file does not say

	prefix    string // of the tensors of the model without its head
	tied      *tie   // nil: the head is a matrix of its own
	ignorable func(tensor string) bool
}

// tie is a head that is the embedding table, unless the checkpoint has two
// that differ: then apart is the graph.
type tie struct {
	table, head string
	apart       func() *graph.Graph
}

// families maps model_type to its constructor. Each reads every key that
// matters from c; what it leaves unread is reported as unknown.
var families = map[string]func(c *config) *Model{
	"llama": llama,
}

// maxConfig bounds config.json and generation_config.json.
const maxConfig = 1 << 20

// Load reads config.json and, if there is one, generation_config.json of a folder.
func Load(dir string) (*Model, error) {
	path := filepath.Join(dir, "config.json")
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	genPath := filepath.Join(dir, "generation_config.json")
	gen, err := readFile(genPath)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	m, err := Parse(data, gen)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	m.Name = filepath.Base(abs)
	return m, nil
}

func readFile(path string) ([]byte, error) {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() { // opening a pipe would wait for ever
		return nil, fmt.Errorf("%s: %w: not a regular file", path, ErrConfig)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(data) > maxConfig {
		err = fmt.Errorf("%s: %w: more than %d bytes", path, ErrConfig, maxConfig)
	}
	return data, err
}

// Parse is Load on the bytes of the two files; generation may be nil.
func Parse(data, generation []byte) (*Model, error) {
	c, err := newConfig("config.json", data)
	if err != nil {
		return nil, err
	}
	kind := c.string("model_type", "")
	family := families[kind]
	if family == nil && c.err == nil {
		c.unsupported("model_type", "%q; known: llama", kind)
	}
	if c.err != nil {
		return nil, c.err
	}
	m := family(c)
	if c.finish(); c.err != nil {
		return nil, c.err
	}
	m.Type, m.Notes, m.TokenizerClass = kind, c.notes, c.string("tokenizer_class", "")
	if generation == nil {
		return m, nil
	}
	g, err := newConfig("generation_config.json", generation)
	if err != nil {
		return nil, err
	}
	m.generation(g)
	m.Notes = append(m.Notes, g.notes...)
	return m, g.err
}
