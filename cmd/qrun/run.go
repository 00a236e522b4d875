package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	nlp "github.com/nlpodyssey/safetensors"
	"github.com/spf13/cobra"

	"qpt/convert/safetensors"
	"qpt/format"
	"qpt/format/graph"
	"qpt/internal/cli"
	"qpt/internal/outfile"
	"qpt/internal/ui"
	"qpt/runtime"
)

// runOptions are the flags of "qrun run".
type runOptions struct {
	*options
	program, input, output string
	hidden                 bool
	labels                 string // of pictures
	top                    int
}

func runCommand(o *options) *cobra.Command {
	r := &runOptions{options: o}
	c := &cobra.Command{
		Use:   "run FILE.qpt --input IN.safetensors --output OUT.safetensors",
		Short: "Run any program of a file on named tensors",
		Long: `run gives the tensors of a .safetensors file to a program by their names and writes
what it returns. A language model takes input_ids (integers [T] or [B, T]) and, where
rows are padded on either side, attention_mask (0: no token there); it gives logits,
F32 [.., T, V], zeros where there is no token. Rows change nothing in each other.
A classifier of images takes pictures too: a .jpg or .png file, a folder of them, or a
.safetensors file with images, U8 [n, height, width, channels] of the network's size. It
then tells the likeliest classes, and where labels tell the right ones how many are met.
--hidden adds the model's hidden states: hidden.0 before the first layer, hidden.N
after layer N, hidden.final after the last norm.`,
		Example: `  qrun run m.qpt --input ids.safetensors --output logits.safetensors
  qrun run m.qpt --input ids.safetensors --output all.safetensors --hidden
  qrun run resnet.s8s8.qpt --input cat.jpg
  qrun run resnet.s8s8.qpt --input pictures/ --labels classes.txt`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := cli.ModelArg(c, args, &o.model); err != nil {
				return err
			}
			return r.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVarP(&r.input, "input", "i", "", "`FILE` of tensors that the program takes (.safetensors)")
	f.StringVarP(&r.output, "output", "o", "", "`FILE` for those that it returns (.safetensors), - for stdout; none prints their figures alone")
	f.StringVar(&r.program, "program", format.Main, "`NAME` of the program, where a file has several")
	f.StringVar(&r.labels, "labels", "", "`FILE` with lines NAME CLASS: the right classes of pictures in a folder")
	f.IntVar(&r.top, "top", 5, "likeliest `CLASSES` of each picture")
	f.BoolVar(&r.hidden, "hidden", false, "return hidden states too")
	cli.CompleteFiles(c, "", "qpt")
	cli.CompleteFiles(c, "input", "safetensors", "jpg", "jpeg", "png")
	return c
}

func (r *runOptions) run(ctx context.Context) error {
	switch {
	case r.input == "":
		return fmt.Errorf("%w: --input is missing: which .safetensors file holds what the program takes?", cli.ErrUsage)
	case r.top < 1:
		return fmt.Errorf("%w: --top %d: must be 1 or more", cli.ErrUsage, r.top)
	case isPictures(r.input):
		if r.output != "" || r.hidden {
			return fmt.Errorf("%w: --output and --hidden are for tensors; of pictures the classes are told", cli.ErrUsage)
		}
		return r.classes(ctx, "run", r.input)
	case r.labels != "":
		return fmt.Errorf("%w: --labels is for pictures", cli.ErrUsage)
	case r.output == "-" && r.JSON:
		return fmt.Errorf("%w: --output - and --json both write to stdout: give the tensors a file", cli.ErrUsage)
	}
	if err := outfile.Check(r.output, r.model, r.input); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	if err := writable(r.output); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	out, err := r.outputs(ctx)
	if err != nil {
		return err
	}
	switch r.output {
	case "":
	case "-":
		return nlp.SerializeToWriter(out, nil, ui.Stdout)
	default:
		if err := safetensors.WriteFile(r.output, out, nil); err != nil {
			return err
		}
	}
	return r.print(out)
}

// outputs runs the program on the tensors of the input file.
func (r *runOptions) outputs(ctx context.Context) (map[string]view, error) {
	opt, err := r.settings()
	if err != nil {
		return nil, err
	}
	m, err := runtime.Load(r.model, opt)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if !slices.Contains(m.Programs(), r.program) {
		return nil, fmt.Errorf("%w: --program %s: %s has %s", cli.ErrUsage, r.program, r.model, strings.Join(m.Programs(), ", "))
	}
	g, err := m.File.Program(r.program)
	if err != nil {
		return nil, err
	}
	in, err := readTensors(r.input, g)
	if err != nil {
		return nil, err
	}
	list, err := m.Run(ctx, in, runtime.RunOptions{Program: r.program, Hidden: r.hidden})
	switch {
	case err == nil:
	case ctx.Err() != nil, errors.Is(err, runtime.ErrLost), errors.Is(err, runtime.ErrKVMemory):
		return nil, err
	default: // what is left is about names, shapes, types and values of the inputs
		return nil, fmt.Errorf("%w: %s: %w", errInput, r.input, err)
	}
	out := map[string]view{}
	for name, t := range list {
		out[name] = view{t}
	}
	return out, nil
}

// readTensors reads a .safetensors file as inputs of a graph: floats where it
// takes floats (U8 pixels too, as the numbers they are), else whole numbers.
func readTensors(path string, g *graph.Graph) (map[string]runtime.Tensor, error) {
	file, err := safetensors.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--input: %w", err)
	}
	defer file.Close()
	in := map[string]runtime.Tensor{}
	tokens := slices.Contains(g.Symbols, "T")
	inputs := map[string]graph.Value{} // by names in the file
	for i, v := range g.Inputs {
		if name := g.Find(i, file.Names()); name != "" {
			inputs[name] = v
		}
	}
	for _, name := range file.Names() {
		t, _ := file.Tensor(name)
		x := runtime.Tensor{Shape: t.Shape}
		v, ok := inputs[name]
		if !tokens && !ok {
			var takes []string
			for _, v := range g.Inputs {
				takes = append(takes, fmt.Sprintf("%q %s", v.Name, g.ShapeString(v.Shape)))
			}
			return nil, fmt.Errorf("%w: %s has a tensor %q, the program takes %s", errInput, path, name, strings.Join(takes, ", "))
		}
		if !tokens && t.NumElems() == 0 {
			return nil, fmt.Errorf("%w: %s: tensor %q %v is empty", errInput, path, name, t.Shape)
		}
		if ok && v.DType == graph.Float {
			x.F = make([]float32, t.NumElems())
			if err = t.ReadRows(0, t.NumRows(), x.F); err == nil {
				if err = runtime.CheckFinite(x); err != nil {
					err = fmt.Errorf("%s: tensor %q: %w", path, name, err)
				}
			}
		} else {
			x.I, err = integers(t)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errInput, err)
		}
		in[cmp.Or(v.Name, name)] = x
	}
	return in, nil
}

// integers reads a tensor of whole numbers.
func integers(t *safetensors.Tensor) ([]int32, error) {
	data, err := t.Bytes()
	if err != nil {
		return nil, err
	}
	var at func(i int) int64
	le := binary.LittleEndian
	switch t.DType {
	case safetensors.I64, safetensors.U64:
		at = func(i int) int64 { return int64(le.Uint64(data[8*i:])) }
	case safetensors.I32:
		at = func(i int) int64 { return int64(int32(le.Uint32(data[4*i:]))) }
	case safetensors.U32:
		at = func(i int) int64 { return int64(le.Uint32(data[4*i:])) }
	case safetensors.I16:
		at = func(i int) int64 { return int64(int16(le.Uint16(data[2*i:]))) }
	case safetensors.U16:
		at = func(i int) int64 { return int64(le.Uint16(data[2*i:])) }
	case safetensors.I8:
		at = func(i int) int64 { return int64(int8(data[i])) }
	case safetensors.U8, safetensors.BOOL:
		at = func(i int) int64 { return int64(data[i]) }
	default:
		return nil, fmt.Errorf("tensor %q: %v, where the program takes whole numbers, such as I64", t.Name, t.DType)
	}
	list := make([]int32, t.NumElems())
	for i := range list {
		v := at(i)
		if v != int64(int32(v)) {
			return nil, fmt.Errorf("tensor %q: element %d is %d, beyond 32 bits", t.Name, i, v)
		}
		list[i] = int32(v)
	}
	return list, nil
}

// view is a tensor as a file takes it: F32 or I32.
type view struct{ t runtime.Tensor }

func (v view) DType() nlp.DType {
	if v.t.F == nil {
		return nlp.I32
	}
	return nlp.F32
}

func (v view) Shape() (shape []uint64) {
	for _, d := range v.t.Shape {
		shape = append(shape, uint64(d))
	}
	return shape
}

func (v view) DataLen() uint64 { return 4 * uint64(len(v.t.F)+len(v.t.I)) }

func (v view) Data() []byte {
	b := make([]byte, 0, v.DataLen())
	for _, x := range v.t.F {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	for _, x := range v.t.I {
		b = binary.LittleEndian.AppendUint32(b, uint32(x))
	}
	return b
}

// outputDoc sums up one output.
type outputDoc struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
	Min   number `json:"min"` // null without values
	Mean  number `json:"mean"`
	Max   number `json:"max"`
}

func newOutputDoc(name string, v view) outputDoc {
	d := outputDoc{name, v.DType().String(), v.t.Shape, number(math.Inf(1)), 0, number(math.Inf(-1))}
	add := func(x float64) {
		d.Min, d.Max, d.Mean = min(d.Min, number(x)), max(d.Max, number(x)), d.Mean+number(x)
	}
	for _, x := range v.t.F {
		add(float64(x))
	}
	for _, x := range v.t.I {
		add(float64(x))
	}
	d.Mean /= number(len(v.t.F) + len(v.t.I))
	return d
}

// print sums up the outputs.
func (r *runOptions) print(out map[string]view) error {
	var docs []outputDoc
	for _, name := range slices.SortedFunc(maps.Keys(out), func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }) {
		docs = append(docs, newOutputDoc(name, out[name]))
	}
	if r.JSON {
		return cli.Document(struct {
			Schema  int         `json:"schema"`
			Command string      `json:"command"`
			Model   string      `json:"model"`
			Program string      `json:"program"`
			Output  string      `json:"output,omitempty"`
			Outputs []outputDoc `json:"outputs"`
		}{1, "run", r.model, r.program, r.output, docs})
	}
	t := ui.NewTable("output", "dtype", "shape", "min", "mean", "max")
	for _, d := range docs {
		three := func(n number) string { return fmt.Sprintf("%.4g", float64(n)) }
		t.Row(d.Name, d.DType, fmt.Sprint(d.Shape), three(d.Min), three(d.Mean), three(d.Max))
	}
	return t.Print(ui.Stdout)
}
