// Package quantized reads matrices that other tools quantized, as they are stored in
// safetensors: GPTQ, AWQ, compressed-tensors and so on. What is read, how it is
// spelled, what is exact and what is refused: docs/import.md.
//
//	ckpt, info, err := quantized.Open("config.json: quantization_config", config, tensors)
//
// A method is one file (gptq.go, awq.go, ..): it finds its modules, holds their
// tensors against the config and against each other, and says how rows of codes are
// read (stored.Codes). Values are those that the format means, in float32, whatever
// dtype a tool would compute them in.
package quantized

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"qpt/convert/safetensors"
	"qpt/convert/stored"
)

var (
	// ErrInput is matched by errors about tensors or configs that are broken or contradict each other.
	ErrInput = errors.New("bad quantized checkpoint")
	// ErrUnsupported is matched by errors about methods, layouts and keys that are not read.
	ErrUnsupported = errors.New("unsupported quantization")
)

// method is how one tool stores matrices.
type method struct {
	names []string // quant_method
	open  func(o *opener) error
}

var methods = []method{
	{[]string{"gptq"}, openGPTQ},
	{[]string{"awq"}, openAWQ},
	{[]string{"auto-round"}, openAutoRound},
	{[]string{"compressed-tensors", "sparseml"}, openCompressed},
	{[]string{"fp8", "fbgemm_fp8"}, openFP8},
	{[]string{"mxfp4"}, openMXFP4},
	{[]string{"bitsandbytes"}, openBitsAndBytes},
	{[]string{"torchao"}, openTorchAO},
	{[]string{"hqq"}, openHQQ},
	{[]string{"modelopt", "modelopt_fp4"}, openModelOpt},
	{[]string{"quark"}, openQuark},
	{[]string{"bitnet"}, openBitNet},
	{[]string{"mlx"}, openMLX},
}

// refused tells of methods that people use why they are not read.
var refused = map[string]string{
	"aqlm": vectors, "vptq": vectors, "quip": vectors, "quip_sharp": vectors, "quip#": vectors, "higgs": vectors, "exl3": vectors, "exl2": "its codes are in an order for one GPU kernel, of several widths a matrix",
	"spqr": "it keeps some weights beside the codes, sparse", "eetq": "its bytes are in an order for one GPU kernel", "sinq": "it has scales of columns beside those of rows", "fp_quant": "its inputs are rotated",
	"quanto":      "transformers cannot save it; QuantizedModelForCausalLM of optimum.quanto can",
	"fouroversix": online, "metal": "transformers' layout for Apple GPUs is not read; MLX's own is", "nvfp4": online, "mxfp8": online, "gguf": "name the GGUF file instead",
}

const online = "transformers rounds plain weights so while loading and saves no codes"

const vectors = "its codes stand for vectors of several weights"

// Methods lists the values of quant_method that are read; "mlx" is that of MLX's configs, which have none.
func Methods() (list []string) {
	for _, m := range methods {
		list = append(list, m.names...)
	}
	return list
}

// Open joins the tensors of a checkpoint of which some are quantized: a module's are one matrix
// of codes, all others are as they are. config is the quantization's own, an object of JSON
// that stands at where. Notes are what a reader of the file might not expect.
func Open(where string, config []byte, from *safetensors.Checkpoint) (c *stored.Checkpoint, notes []string, err error) {
	conf, err := newConfig(where, config)
	if err != nil {
		return nil, nil, err
	}
	o := &opener{config: conf, from: from, parts: map[string]bool{}}
	name := conf.method(len(o.modules(".qweight")) > 0)
	at := slices.IndexFunc(methods, func(m method) bool { return slices.Contains(m.names, name) })
	if at < 0 && conf.err == nil {
		why := refused[name]
		if why != "" {
			why = " (" + why + ")"
		}
		conf.unsupported("quant_method", "%.60q is not read%s; known: %s; save the model in one of these, or give the original checkpoint", name, why, strings.Join(Methods(), ", "))
	}
	if conf.err != nil {
		return nil, nil, conf.err
	}
	o.method = name
	if err := methods[at].open(o); err != nil {
		return nil, nil, err
	}
	if conf.finish(); conf.err != nil {
		return nil, nil, conf.err
	}
	return o.joined()
}

// joined is the checkpoint of the matrices that were found and all other tensors.
func (o *opener) joined() (*stored.Checkpoint, []string, error) {
	if len(o.matrices) == 0 {
		return nil, nil, fmt.Errorf("%s: %w: it says %s, but no tensor is quantized so: remove the key if the weights are plain", o.config.where, ErrInput, o.method)
	}
	o.dropCacheScales()
	for _, name := range o.from.Names() {
		if t, _ := o.from.Tensor(name); !o.parts[name] {
			o.matrices = append(o.matrices, stored.PlainTensor(name, t))
		}
	}
	c, err := stored.New(o.matrices, stored.Source{Files: stored.Files(o.from), Warnings: o.from.Warnings(), Unchanged: o.from.Unchanged, Close: o.from.Close})
	return c, o.notes, err
}

// cacheScales are what names of numbers end in that a server would round keys and values by.
var cacheScales = []string{".k_scale", ".v_scale", ".kv_scale", ".q_scale", ".prob_scale", ".k_zero_point", ".v_zero_point", ".k_proj.output_scale", ".v_proj.output_scale", ".q_proj.output_scale"}

// dropCacheScales passes over them: keys and values are not rounded, and a config that says that they are to be has been refused.
func (o *opener) dropCacheScales() {
	n := 0
	for _, name := range o.from.Names() {
		if t, _ := o.from.Tensor(name); t.NumElems() == 1 && !o.parts[name] && slices.ContainsFunc(cacheScales, func(end string) bool { return strings.HasSuffix(name, end) }) {
			o.parts[name] = true
			n++
		}
	}
	if n > 0 {
		o.notes = append(o.notes, fmt.Sprintf("%s: %d scales of keys and values have no effect: these stay in 16 bits or more", o.config.where, n))
	}
}

// opener is what a method works with.
type opener struct {
	config   *config
	from     *safetensors.Checkpoint
	method   string
	matrices []*stored.Tensor
	parts    map[string]bool // tensors that matrices are made of, and such as have no effect beside them
	notes    []string
}

// modules are the names before suffix of all tensors that end in it, sorted.
func (o *opener) modules(suffix string) (list []string) {
	for _, name := range o.from.Names() {
		if m, ok := strings.CutSuffix(name, suffix); ok && m != "" {
			list = append(list, m)
		}
	}
	return list
}

// module collects the tensors of one module; the first error sticks.
type module struct {
	*opener
	name string
	err  error

	actScale float32 // see inputs
	actZero  int32
}

func (o *opener) module(name string) *module { return &module{opener: o, name: name} }

// has says whether the module has a tensor of this suffix.
func (m *module) has(suffix string) bool { _, ok := m.from.Tensor(m.name + suffix); return ok }

// drop marks tensors that say nothing more.
func (m *module) drop(suffixes ...string) {
	for _, s := range suffixes {
		m.parts[m.name+s] = true
	}
}

// tensor takes a tensor of the module, of one of these dtypes and a rank (-1: any).
func (m *module) tensor(suffix string, rank int, dtypes ...safetensors.DType) *safetensors.Tensor {
	t, ok := m.from.Tensor(m.name + suffix)
	switch {
	case m.err != nil:
	case !ok:
		m.fail("%s is missing", suffix[1:])
	case !slices.Contains(dtypes, t.DType):
		m.fail("%s is %v, must be %v", suffix[1:], t.DType, dtypes)
	case rank >= 0 && len(t.Shape) != rank:
		m.fail("%s has shape %v, must have %d dimensions", suffix[1:], t.Shape, rank)
	case t.NumElems() == 0:
		m.fail("%s has shape %v: it is empty", suffix[1:], t.Shape)
	default:
		m.parts[t.Name] = true
		return t
	}
	return nil
}

// shape demands one.
func (m *module) shape(t *safetensors.Tensor, want ...int) {
	if m.err == nil && !slices.Equal(t.Shape, want) {
		m.fail("%s has shape %v, must be %v", t.Name[len(m.name)+1:], t.Shape, want)
	}
}

func (m *module) fail(format string, a ...any) {
	if m.err == nil {
		m.err = fmt.Errorf("%w: %s, module %.200q: "+format, append([]any{ErrInput, m.method, m.name}, a...)...)
	}
}

func (m *module) unsupported(format string, a ...any) {
	if m.err == nil {
		m.err = fmt.Errorf("%w: %s, module %.200q: "+format, append([]any{ErrUnsupported, m.method, m.name}, a...)...)
	}
}

// add completes the module: its weight is the matrix x, which the file at from holds.
func (m *module) add(x *stored.Codes, kind string, from *safetensors.Tensor) error {
	x.ActScale, x.ActZero = m.actScale, m.actZero
	t := &stored.Tensor{Name: m.name + ".weight", Shape: []int{x.N, x.K}, Type: kind, File: from.File(), Codes: x}
	if x.Group < stored.LeastGroup && x.Group != x.K {
		t.Numbers, t.Codes, t.Inexact = stored.NumbersOf(x, t.Name, t.File), nil, true
	}
	return m.addTensor(t)
}

func (m *module) addTensor(t *stored.Tensor) error {
	if t, ok := m.from.Tensor(t.Name); ok && !m.parts[t.Name] {
		m.fail("it has a quantized weight and a plain one, %v %v: remove one", t.DType, t.Shape)
	}
	if t.Natural = true; m.err == nil {
		m.matrices = append(m.matrices, t)
	}
	return m.err
}

// scales are the dtypes of scales.
var scales = []safetensors.DType{safetensors.F16, safetensors.BF16, safetensors.F32}

// groups is the number of groups of g in k, with g the length of all for -1; an error if g is no length.
func (m *module) groups(k, g int) (size, n int) {
	if g == -1 || g > k {
		g = k
	}
	if g <= 0 {
		m.fail("groups of %d inputs: must be -1 or positive", g)
		return k, 1
	}
	return g, (k + g - 1) / g
}

// nonzero refuses scales of zero where codes of the group differ from its zero: such weights are lost.
func nonzero(x *stored.Codes, r0 int, b *stored.Block) error {
	groups := x.Groups()
	for i, s := range b.Scale {
		if s != 0 {
			continue
		}
		r, g := i/groups, i%groups
		zero := uint8(x.Zero)
		if x.Zeros {
			zero = b.Zeros[i]
		}
		for _, c := range b.Codes[r*x.K+g*x.Group : r*x.K+min(x.K, (g+1)*x.Group)] {
			if c != zero {
				return fmt.Errorf("%w: the scale of row %d, group %d is 0, but its codes are not: download the file again or quantize anew", ErrInput, r0+r, g)
			}
		}
	}
	return nil
}
