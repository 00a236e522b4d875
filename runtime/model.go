// Package runtime loads .qpt files and runs their graphs, of whatever model.
// Language models are run by package lm on top of it, compared by package compare.
//
// A Model maps its file: weights are used where they lie, and every slice that
// comes from them ends with Close. A Model may be used from several goroutines;
// its calls take turns on the cores.
//
// If the mapped file is truncated while it is in use, the call that touches a
// lost page returns ErrLost and the process lives on.
package runtime

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"qpt/format"
	"qpt/format/graph"
	"qpt/internal/par"
	"qpt/kernels/attn"
	"qpt/kernels/linear"
	"qpt/runtime/exec"
)

// ErrLost is returned when mapped weights can no longer be read.
var ErrLost = format.ErrLost

// ErrKVMemory is matched by errors about Options.KVMemory.
var ErrKVMemory = attn.ErrBudget

// ErrClosed is returned by calls after Close.
var ErrClosed = errors.New("the model is closed")

// Options of Load; the zero value suits most uses.
type Options struct {
	Threads int    // cores to use; 0: all that the process may use
	Context int    // positions of a sequence at most; 0: a language model's own limit, 4096 at most
	Batch   int    // rows of a pass at most; 0: 512, or fewer where the buffers would pass 1 GiB
	KV      string // keys and values as "f32", "bf16" or "int8"; "": f32 for an f32 model, else bf16
	// KVMemory bounds the keys and values of all sequences, in bytes; 0: by memory alone. A pass
	// that would go beyond fails with ErrKVMemory and changes nothing.
	KVMemory int64
	// Tuning names a file of measured kernel times (see TuningPath): shapes of
	// layers that it lacks are measured, in some ten milliseconds each, and added. "": kernels
	// are chosen by rule. Results are the same bits. Retune measures again.
	Tuning string
	Retune bool
}

// Model is a loaded .qpt file.
type Model struct {
	File  *format.File
	Meta  format.Meta
	Graph *graph.Graph // of the main program

	opt      Options
	kv       attn.KVType
	w        *weights
	prog     *exec.Program // format.Main
	programs map[string]*exec.Program
	ws       *exec.Workspace
	pages    *attn.Pool
	turn     turn

	closed atomic.Bool
	rate   atomic.Int64 // rows a second of the last pass of many

	hiddenMu sync.Mutex
	hidden   map[*graph.Graph]*exec.Program // with hidden states as outputs, by the graph without
	last     *exec.Program                  // see LastHidden

	layers    []namedLayer
	tuned     []*linear.Tuning
	tuningErr error
}

// Load maps a file and plans its execution. Errors about the file's contents
// match format.ErrCorrupt or format.ErrUnsupported.
func Load(path string, opt Options) (*Model, error) {
	f, err := format.Open(path)
	if err != nil {
		return nil, err
	}
	return load(f, opt)
}

// LoadBytes is Load for a file that lies in memory, such as an embedded one; name stands for its path in
// messages. b must not change before Close. Weights are used where they lie if b begins at a multiple of 64, else copied.
func LoadBytes(name string, b []byte, opt Options) (*Model, error) {
	f, err := format.OpenBytes(name, b)
	if err != nil {
		return nil, err
	}
	return load(f, opt)
}

// LoadFS is Load for a file of a file system, which is read whole.
func LoadFS(fsys fs.FS, name string, opt Options) (*Model, error) {
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	return LoadBytes(name, b, opt)
}

func load(f *format.File, opt Options) (m *Model, err error) {
	m = &Model{File: f, opt: opt, programs: map[string]*exec.Program{}, hidden: map[*graph.Graph]*exec.Program{}}
	defer func() {
		if err != nil {
			m.Close()
			m = nil
		}
	}()
	defer catch(&err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	if m.Meta, err = f.Meta(); err != nil {
		return m, err
	}
	if m.w, err = newWeights(f, opt.Threads); err != nil {
		return m, err
	}
	rec := &recorder{weights: m.w}
	var graphs []*graph.Graph
	for _, name := range f.Programs() {
		g, err := f.Program(name)
		if err != nil {
			return m, err
		}
		p, err := exec.Compile(g, rec, exec.Options{})
		if errors.Is(err, format.ErrCorrupt) { // its weights
			return m, err
		}
		if err != nil {
			return m, fmt.Errorf("%w: %s: program %q: %w", format.ErrUnsupported, f.Path(), name, err)
		}
		m.programs[name], graphs = p, append(graphs, g)
	}
	if m.prog = m.programs[format.Main]; m.prog == nil {
		_, err := f.Program(format.Main) // says which there are
		return m, err
	}
	m.Graph = m.prog.Graph()
	if err := m.w.checkStatic(graphs); err != nil {
		return m, err
	}
	m.layers = rec.layers
	if opt.Tuning != "" {
		m.tuningErr = m.tune(opt.Tuning, opt.Retune)
	}
	m.kv = attn.KVBF16
	if opt.KV != "" {
		if m.kv, err = attn.ParseKV(opt.KV); err != nil {
			return m, err
		}
	} else if s := m.Meta.Recipe.Scheme; s == "f32" || s == "keep" {
		m.kv = attn.KVF32
	}
	m.ws = exec.NewWorkspace(opt.Threads)
	m.ws.KV = m.kv
	m.turn, m.pages = newTurn(), attn.NewPool(opt.KVMemory)
	return m, nil
}

// Section returns the bytes of the only section of a kind.
func Section(f *format.File, kind format.Kind) ([]byte, error) {
	i, err := f.Section(kind.String())
	if err != nil {
		return nil, err
	}
	return f.Data(i)
}

// Close stops the workers and unmaps the file; no call may be in progress.
func (m *Model) Close() error {
	if m.closed.Swap(true) {
		return nil
	}
	if m.ws != nil {
		m.ws.Close()
	}
	return m.File.Close()
}

// Tuning returns the measurements that kernels are chosen by, one for each
// shape of layer with a choice, and why they could not be kept, if so.
func (m *Model) Tuning() ([]*linear.Tuning, error) { return m.tuned, m.tuningErr }

// KV names the storage of keys and values.
func (m *Model) KV() string { return m.kv.String() }

// Threads is the number of cores in use.
func (m *Model) Threads() int { return m.ws.Threads() }

// Tensors returns the tensor directory.
func (m *Model) Tensors() []*format.Tensor {
	var list []*format.Tensor
	for _, p := range m.Graph.Params {
		if t := m.w.byName[p.Name]; t != nil {
			list = append(list, t)
		}
	}
	return list
}

// catch turns a fault on mapped memory, here or in a worker, into ErrLost; other panics go on.
func catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case *par.Panic:
		if format.IsFault(r.Value) {
			*err = ErrLost
			return
		}
		panic(r)
	default:
		if format.IsFault(r) {
			*err = ErrLost
			return
		}
		panic(r)
	}
}
