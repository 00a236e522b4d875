// Package convert turns a HuggingFace checkpoint into a .qpt file.
//
//	plan, err := convert.MakePlan(convert.Options{In: "model.safetensors", Scheme: "da8w4"})
//	if err != nil { ... }
//	plan, err = plan.Rotation(ctx, convert.Hooks{}) // as qconv does
//	defer plan.Close()
//	report, err := plan.Run(ctx, convert.Hooks{})
//
// Weights stream from the checkpoint to the file in row blocks: memory holds a
// few megabytes however large the model is. The same inputs give the same
// bytes for any number of threads and any CPU; the output file appears only
// when it is complete.
package convert

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"qpt/calibrate"
	"qpt/convert/checkpoint"
	"qpt/convert/hf"
	"qpt/convert/safetensors"
	"qpt/convert/stored"
	"qpt/format"
	"qpt/format/graph"
	"qpt/format/rewrite"
	"qpt/internal/num"
	"qpt/internal/outfile"
	"qpt/internal/version"
	"qpt/kernels/linear"
	"qpt/kernels/quant"
	"qpt/runtime/encoder"
	"qpt/runtime/lm/tokenizer"
)

// ErrInput is matched by errors about the checkpoint's contents.
var ErrInput = errors.New("bad checkpoint")

// ErrUsage is matched by errors about Options.
var ErrUsage = errors.New("bad options")

// Options of a conversion; In and Scheme are required, Scheme here or in the Recipe, but for a checkpoint that is quantized already, which is kept.
type Options struct {
	In  string // model.safetensors, an index file, the checkpoint's folder, or a GGUF file
	Out string // "": name of the checkpoint and the scheme, in the working directory

	// Recipe, if set, is where what is not said below comes from. The settings
	// up to Symmetric are short forms of its keys: what counts is Plan.Recipe, which joins both.
	Recipe *format.Recipe
	Scheme string // see linear.Schemes
	Group  int    // weights a group of the int4 schemes: 16, 32, 64, 128; 0: 32
	Compat string // "" or "torchao"
	Inputs string // of kept codes, one of KeptInputs; "": as the checkpoint asks

	// Which linear layers get the scheme, by regular expression on the
	// parameter's name; the rest stays in bf16 (f32 when Scheme is f32).
	Include, Exclude string
	// Overrides win over Include and Exclude; the first that matches decides.
	Overrides []Override

	// Calib is a text to calibrate the int4 and int8 layers on: .jsonl with
	// "text", "messages" (written through the checkpoint's chat template) or "ids" a line, or plain text, or token ids as
	// tensors (.safetensors with input_ids), or a folder of such files. Preset says how hard to
	// try: "fast" (no calibration), "balanced", "best"; "": balanced with a text, else fast. Without a text balanced and best let the model write one.
	Calib, Preset             string
	Algorithms                string // of calibration, comma-separated (calibrate.Options.Enable); "": those of the preset
	CalibSamples, CalibLength int    // sequences, 0: 64; tokens of one, 0: 256
	Seed                      uint64

	// Sensitivity says that Calib is (also) for Plan.Sensitivity, so that preset fast may have it.
	Sensitivity bool

	// How the ranges of s8s8 activations are chosen on Calib: one of
	// calibrate.Observers, "": DefaultObserver; zero in the middle if Symmetric.
	Observer  string
	Symmetric bool

	Threads    int    // 0: all
	Mem        int64  // cap on the memory of the process in bytes, see Plan.Memory; 0: 1 GiB
	Resume     bool   // keep calibrated layers beside the output until it is complete, and go on with those that are there
	Compress   bool   // write the transport form
	References int    // FP32 predictions to embed, as far as the texts for them go; 0: 256, of an encoder's whole texts 32, of a network's rows 64; -1: none
	Tool       string // that the provenance names; "": qconv of this module's version
}

// Override gives layers whose name matches another scheme.
type Override struct{ Match, Scheme string }

// ParseOverride reads REGEX=SCHEME[:GROUP].
func ParseOverride(s string) (Override, error) {
	i := strings.LastIndexByte(s, '=')
	if i <= 0 {
		return Override{}, fmt.Errorf("%w: override %q: want REGEX=SCHEME, or REGEX=SCHEME:GROUP", ErrUsage, s)
	}
	return Override{s[:i], s[i+1:]}, nil
}

// Item is the plan for one parameter.
type Item struct {
	Name   string
	Shape  []int
	Source string // dtype in the checkpoint, "" of a tensor that it does not have
	Scheme string
	Format format.TensorFormat
	Group  int
	Reason string // why it does not have the scheme asked for
	Values int64
	Bytes  int64 // in the file, without alignment

	codes *keptCodes        // of scheme keep, nil of numbers
	scale []float32         // of scheme keep: of the rows of int8 codes
	input string            // the value whose wild columns stay float32, "": none do
	dtype safetensors.DType // of Source, 0 of codes
	whole bool              // it is the tensor of its name, unchanged
}

// Bits is the size in bits of one value.
func (it *Item) Bits() float64 { return float64(it.Bytes) * 8 / float64(it.Values) }

// Plan is everything that a conversion will do.
type Plan struct {
	Opt    Options
	Recipe format.Recipe
	Model  *hf.Model
	Items  []Item
	Ignore []string // tensors of the checkpoint that the model does not need
	Warn   []string

	folder *checkpoint.Folder
	ckpt   *stored.Checkpoint      // its tensors
	graph  *graph.Graph            // of the file: the model's, changed as algorithms want it
	src    graph.Source            // its parameters before they are rounded
	turned *rewrite.Model          // with the algorithm rotate
	folds  []format.RewrittenParam // batch norms that layers took in
	tok    *tokenizer.Tokenizer
	compat quant.Compat
	sum    string             // SHA-256 of the calibration text, once it was read
	wrote  string             // how its messages were written, "" if it has none
	cal    *calibration       // during Run; nil: round to nearest
	refs   *format.References // that Rotation made already
	rows   *calibrate.Rows    // of the calibration data of a network on tensors, during Run
	wild   *wild              // columns that stay float32, during Run
	held   held
}

// Values is the number of parameters; Bytes the size of all tensors in the file.
func (p *Plan) Values() (n int64) {
	for _, it := range p.Items {
		n += it.Values
	}
	return n
}

// Bytes is the size of all tensors in the file.
func (p *Plan) Bytes() (n int64) {
	for _, it := range p.Items {
		n += it.Bytes
	}
	return n
}

// Close releases the checkpoint.
func (p *Plan) Close() error { return p.ckpt.Close() }

// MakePlan reads the checkpoint's headers and configuration, and decides on every tensor.
func MakePlan(opt Options) (_ *Plan, err error) {
	if opt.Threads <= 0 {
		opt.Threads = runtime.GOMAXPROCS(0)
	}
	var folder *checkpoint.Folder
	if opt.Scheme == "" && (opt.Recipe == nil || opt.Recipe.Scheme == "") { // a checkpoint of codes keeps them
		if folder, err = checkpoint.Open(opt.In); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				folder.Close()
			}
		}()
		if !folder.Stored() {
			return nil, fmt.Errorf("%w: --scheme is missing (da8w4 suits most language models)", ErrUsage)
		}
		opt.Scheme = "keep"
	}
	recipe, err := opt.recipe()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	opt.Tool = cmp.Or(opt.Tool, "qconv "+version.String())
	p := &Plan{Opt: opt, Recipe: *recipe}
	if recipe.Compat == "torchao" {
		p.compat = quant.CompatTorchAO
	}
	if folder == nil {
		if folder, err = checkpoint.Open(opt.In); err != nil {
			return nil, err
		}
	}
	p.folder, p.ckpt, p.Model, p.tok = folder, folder.Tensors, folder.Model, folder.Tokenizer
	p.Ignore, p.Warn = folder.Ignored, folder.Notes
	defer func() {
		if err != nil {
			p.ckpt.Close()
		}
	}()
	if p.Opt.Out == "" {
		p.Opt.Out = folder.Name + "." + recipe.Scheme + ".qpt"
	}
	if err := p.checkOut(); err != nil {
		return nil, err
	}
	p.graph, p.src = p.Model.Graph, graph.Views(p.Model.Graph, finiteSource{p.ckpt})
	if err := p.forTensors(); err != nil {
		return nil, err
	}
	if slices.Contains(p.Recipe.Calibration.Algorithms, "rotate") {
		if p.turned, err = rewrite.Rotate(p.graph, p.src, recipe.Calibration.Seed); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUsage, err)
		}
		p.graph, p.src = p.turned.Graph, p.turned
		p.Warn = append(p.Warn, p.turned.Notes...)
	}
	if err := p.decide(); err != nil {
		return nil, err
	}
	if slices.Contains(p.Recipe.Calibration.Algorithms, "bias") {
		targets := p.targets()
		if p.graph, p.src, err = calibrate.WithBiases(p.graph, p.src, func(name string) bool { _, ok := targets[name]; return ok }); err != nil {
			return nil, err
		}
		if err := p.decide(); err != nil {
			return nil, err
		}
	}
	if err := p.checkAlgorithms(); err != nil {
		return nil, err
	}
	if err := p.checkStatic(); err != nil {
		return nil, err
	}
	p.again()
	if p.Opt.Mem <= 0 {
		p.Opt.Mem = 1 << 30
	}
	p.held = holds()
	if err := p.checkMemory(); err != nil {
		return nil, err
	}
	return p, nil
}

// checkOut refuses an output file that cannot be written or would replace what is read.
func (p *Plan) checkOut() error {
	out := p.Opt.Out
	parent := filepath.Dir(out)
	if st, err := os.Stat(parent); err != nil || !st.IsDir() {
		return fmt.Errorf("%w: the output file %s: there is no folder %s", ErrUsage, out, parent)
	}
	if st, err := os.Stat(out); err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("%w: the output file %s is a folder or device: name a file in it or elsewhere", ErrUsage, out)
	}
	for _, name := range []string{out, p.journal()} {
		if err := outfile.Check(name, p.Inputs()...); err != nil {
			return fmt.Errorf("%w: %w", ErrUsage, err)
		}
	}
	return nil
}

// Inputs are the files that a conversion reads, or may read if they are there.
func (p *Plan) Inputs() []string {
	list := append(p.folder.Files(), p.Opt.In)
	if files, err := calibrate.TextFiles(p.Opt.Calib); err == nil {
		list = append(list, files...)
	}
	return list
}

func checkGroup(g int) error {
	switch g {
	case 16, 32, 64, 128:
		return nil
	}
	return fmt.Errorf("group size %d, want 16, 32, 64 or 128", g)
}

// decide gives every parameter its scheme: what multiplies nothing stays f32; the first rule of
// the recipe that applies decides on a matrix; else it has the recipe's scheme.
func (p *Plan) decide() error {
	rules, err := compileRules(&p.Recipe)
	if err != nil {
		return err
	}
	scheme := mustScheme(p.Recipe.Scheme)
	tables, heads, matrices := roles(p.graph)
	static := p.Recipe.Scheme == "s8s8"
	routers, narrow, delicate := routers(p.graph), depthwise(p.graph), delicate(p.graph, static)
	texts := encoder.Check(p.graph) == nil
	p.Items = nil
	for _, param := range p.graph.Params {
		it := Item{Name: param.Name, Shape: param.Shape, Values: 1}
		for _, n := range param.Shape {
			it.Values *= int64(n)
		}
		var t *stored.Tensor
		t, it.whole = p.stored(param)
		if t == nil {
			it.Reason = "bias correction"
			if p.folds != nil {
				it.Reason = "batch norm"
			}
		} else {
			it.Source = t.Type
			if t.Plain != nil {
				if it.dtype, err = floatType(t); err != nil {
					return err
				}
			}
		}
		if matrices[param.Name] {
			it.Shape = packed(param.Shape)
		} else {
			it.Scheme, it.Format, it.Bytes = "f32", format.PlainF32, 4*it.Values
			p.Items = append(p.Items, it)
			continue
		}
		s, group := scheme, p.Recipe.Group
		decided := false
		for _, r := range rules { // all see the name: one that fits none is an error
			if r.applies(param.Name, heads[param.Name], tables[param.Name]) && !decided {
				s, group, it.Reason, decided = r.scheme, r.Group, r.Reason, true
			}
		}
		if !decided && routers[param.Name] {
			s, it.Reason = mustScheme("f32"), routerReason
		}
		if f := delicate[param.Name]; (scheme.Name == "da8w8" || static) && f.scheme != "" && (!decided || it.Reason == embeddingReason) {
			if s, it.Reason = mustScheme(f.scheme), delicateReason; texts && !static {
				if it.input = f.input; it.input != "" {
					s = scheme
				}
			}
		}
		if s.Name == scheme.Name && group == p.Recipe.Group {
			it.Reason = ""
		}
		if narrow[param.Name] && s.Format != linear.Codes && s.Name != "s8s8" && s.Name != "f32" {
			s, it.Reason = mustScheme("f32"), depthwiseReason
		}
		if it.input != "" {
			it.Reason = wildReason
		}
		if it.Scheme = s.Name; !s.Format.Grouped() {
			group = 0
		}
		if s.Format == linear.Codes {
			if err := p.keep(&it, param, t); err != nil {
				return err
			}
			p.Items = append(p.Items, it)
			continue
		}
		f := s.Format
		if f == linear.I4 && p.compat == quant.CompatTorchAO {
			if s.Form == linear.A16 {
				return fmt.Errorf("%w: --compat torchao has no %s: torchao's weight-only int4 uses float zero points, which this format does not hold (use da8w4)", ErrUsage, s.Name)
			}
			f = linear.I4F
		}
		it.Format, it.Group = format.TensorFormat(f), group
		if it.Bytes, err = sizeOf(f, it.Shape, group); err != nil {
			return fmt.Errorf("%w: tensor %q: %w", ErrInput, param.Name, err)
		}
		if it.input != "" {
			all, _ := wildCount(it.Shape[1])
			it.Bytes += int64(4 * all * (1 + num.Pad(it.Shape[0], 16)))
		}
		if it.Shape[1] > linear.MaxK && s.Bits <= 8 {
			return fmt.Errorf("%w: tensor %q: rows of %d values are more than an int32 sum can hold (%d)", ErrInput, param.Name, it.Shape[1], linear.MaxK)
		}
		p.Items = append(p.Items, it)
	}
	for i, r := range rules {
		if !r.used && r.Role == "" {
			return fmt.Errorf("%w: %s matches no linear layer", ErrUsage, r.name(i))
		}
	}
	return nil
}

// stored is the tensor of the checkpoint that a param of the graph comes from, nil for one that was added; whole: it is that tensor, unchanged.
func (p *Plan) stored(param graph.Param) (t *stored.Tensor, whole bool) {
	if p.turned != nil {
		if of := p.turned.CopyOf(param.Name); of != "" {
			param = p.Model.Graph.ParamMap()[of]
		}
	}
	name, _ := param.Stored()
	t, _ = p.ckpt.Tensor(name)
	folded := slices.ContainsFunc(p.folds, func(f format.RewrittenParam) bool { return f.Param == name })
	return t, p.turned == nil && param.View == nil && t != nil && !folded
}

// floatType is the dtype of a tensor of numbers.
func floatType(t *stored.Tensor) (safetensors.DType, error) {
	switch d, _ := safetensors.ParseDType(t.Type); d {
	case safetensors.F64, safetensors.F32, safetensors.F16, safetensors.BF16:
		return d, nil
	}
	return 0, fmt.Errorf("%w: %s: tensor %q is stored as %s, weights must be F64, F32, F16 or BF16 (of a quantized checkpoint, give the original)", ErrInput, t.File, t.Name, t.Type)
}

// sizeOf is the size of a matrix in a file.
func sizeOf(f linear.Format, shape []int, group int) (int64, error) {
	data, groups, gscale, scale, sum, err := linear.Sizes(f, shape[0], shape[1], group)
	return int64(data + groups + 4*(gscale+scale+sum)), err
}

// roles finds the embedding tables, the layers whose result is an output, and all params that are matrices of rows to be multiplied or looked up.
func roles(g *graph.Graph) (tables, heads, matrices map[string]bool) {
	tables, heads, matrices = map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if _, ok := n.Op.(graph.Embedding); ok {
			tables[n.Params[0]], matrices[n.Params[0]] = true, true
		}
		for _, m := range n.Linears() {
			matrices[m.Weight] = true
			if slices.Contains(g.Outputs, n.Out[0]) {
				heads[m.Weight] = true
			}
		}
	}
	return tables, heads, matrices
}

// routers finds the matrices whose results choose experts: unless a rule decides on them they stay exact, since a
// choice that flips changes a token altogether, and they are small.
func routers(g *graph.Graph) map[string]bool {
	maker, list := map[string]*graph.Node{}, map[string]bool{}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		for _, v := range n.Out {
			maker[v] = n
		}
		if n.Op.Kind() != "topk" {
			continue
		}
		for todo, seen := []string{n.In[0]}, map[string]bool{}; len(todo) > 0; {
			v := todo[0]
			todo = todo[1:]
			n := maker[v]
			if n == nil || seen[v] {
				continue
			}
			seen[v] = true
			if m := n.Linears(); len(m) > 0 {
				list[m[0].Weight] = true
				continue
			}
			todo = append(todo, n.In...)
		}
	}
	return list
}

func mustScheme(name string) linear.Scheme {
	s, err := linear.ParseScheme(name)
	if err != nil {
		panic(err)
	}
	return s
}
