package convert

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"qpt/convert/safetensors"
	"qpt/format"
	"qpt/internal/num"
	"qpt/internal/par"
	"qpt/kernels/linear"
	"qpt/kernels/quant"
)

// Hooks lets the caller watch a conversion.
type Hooks struct {
	// Progress is called with the values done and the number in all (in the
	// stage "sample": the tokens; "calibrate": the groups of layers; "observe": the values).
	Progress func(done, total int64)
	// Stage is called when a stage begins: "sample", "calibrate", "observe", "bias" and "equalize" (if any), "weights", "reference", "finish".
	Stage func(name string)
}

// orNothing has no nil functions.
func (h Hooks) orNothing() Hooks {
	if h.Progress == nil {
		h.Progress = func(int64, int64) {}
	}
	if h.Stage == nil {
		h.Stage = func(string) {}
	}
	return h
}

// Report is the result of a conversion.
type Report struct {
	Out      string
	FileSize int64
	Tensors  []format.Tensor // in the order of Plan.Items
	Seconds  float64
	RefRows  int      // FP32 predictions in the file
	Notes    []string // what did not go as planned

	Calibration *Coverage // nil without
}

// Run carries out the plan. On failure or when ctx is done no output file is left.
func (p *Plan) Run(ctx context.Context, h Hooks) (*Report, error) {
	start := time.Now()
	h = h.orNothing()
	hashes := make(chan hashResult, 1)
	hctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { hashes <- p.hashSources(hctx) }()

	w, err := format.Create(p.Opt.Out, format.WriteOptions{Threads: p.Opt.Threads})
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	sources := func() ([]format.Source, error) {
		r := <-hashes
		hashes <- r
		return r.sources, r.err
	}
	if err := p.findWild(ctx, h); err != nil {
		return nil, err
	}
	if p.cal, err = p.calibrate(ctx, h, sources); err != nil {
		return nil, err
	}
	if p.cal != nil {
		defer p.cal.Close()
	}
	h.Stage("weights")
	tensors, err := p.weights(ctx, w, h)
	if err != nil {
		return nil, err
	}
	rep := &Report{Out: p.Opt.Out, Tensors: tensors}
	if p.cal != nil {
		rep.Notes, rep.Calibration = p.cal.Notes, p.cal.coverage
	}
	refs := p.refs
	switch {
	case p.refers() && refs == nil:
		h.Stage("reference")
		refs, err = p.references(ctx, cmp.Or(p.Opt.References, refRows), nil)
	case p.rows != nil && p.Opt.References >= 0:
		h.Stage("reference")
		refs, err = p.rowReferences(ctx)
	}
	if err != nil {
		return nil, err
	}
	if refs != nil {
		rep.RefRows = refs.N()
		if err := w.WriteReferences(*refs); err != nil {
			return nil, err
		}
	}
	h.Stage("finish")
	if err := w.WriteTensors(tensors); err != nil {
		return nil, err
	}
	if p.cal != nil && len(p.cal.static) > 0 {
		if err := w.WriteActivations(p.cal.static); err != nil {
			return nil, err
		}
	}
	if err := w.WriteProgram(format.Main, p.graph); err != nil {
		return nil, err
	}
	if r := p.rewrites(); len(r.Values)+len(r.Params) > 0 {
		if err := w.WriteRewrites(r); err != nil {
			return nil, err
		}
	}
	if p.tok != nil {
		blob, err := p.tok.MarshalBinary()
		if err != nil {
			return nil, err
		}
		if err := w.Put(format.KindTokenizer, format.KindTokenizer.String(), format.Zstd, blob); err != nil {
			return nil, err
		}
	}
	hash := <-hashes
	if hash.err != nil {
		return nil, hash.err
	}
	if err := w.WriteMeta(p.meta(hash.sources)); err != nil {
		return nil, err
	}
	if err := errors.Join(ctx.Err(), p.ckpt.Unchanged()); err != nil {
		return nil, err
	}
	if err := w.Commit(); err != nil {
		return nil, err
	}
	st, err := os.Stat(p.Opt.Out)
	if err != nil {
		return nil, err
	}
	if p.Opt.Resume && p.calibrates() {
		if err := os.Remove(p.journal()); err != nil {
			return nil, err
		}
	}
	rep.FileSize, rep.Seconds = st.Size(), time.Since(start).Seconds()
	return rep, nil
}

// meta is the provenance of the file. Nothing in it depends on the time, the machine or the number of threads.
func (p *Plan) meta(sources []format.Source) format.Meta {
	m := format.Meta{
		Tool: p.Opt.Tool,
		Model: format.ModelInfo{
			Name: p.Model.Name, Architecture: p.Model.Type, Parameters: p.parameters(),
			Context: p.Model.MaxPos, BOS: p.Model.BOS, EOS: p.Model.EOS, Labels: p.Model.Labels, Image: p.Model.Image,
		},
		Sources: sources,
		Recipe:  p.Recipe,
	}
	if p.cal != nil {
		m.Calibration, m.Recipe.Results = p.sum, p.cal.results
	}
	return m
}

// parameters is the number of values of the original model.
func (p *Plan) parameters() (n int64) {
	for _, param := range p.Model.Graph.Params {
		values := int64(1)
		for _, d := range param.Shape {
			values *= int64(d)
		}
		n += values
	}
	return n
}

type hashResult struct {
	sources []format.Source
	err     error
}

// hashSources takes the SHA-256 of the checkpoint's files as they are open.
func (p *Plan) hashSources(ctx context.Context) (r hashResult) {
	buf := make([]byte, 1<<20)
	for _, f := range p.ckpt.Files() {
		h := sha256.New()
		for in := f.Reader(); ; {
			if r.err = ctx.Err(); r.err != nil {
				return r
			}
			n, err := in.Read(buf)
			h.Write(buf[:n])
			if err == io.EOF {
				break
			}
			if err != nil {
				r.err = fmt.Errorf("%s: %w", f.Path, err)
				return r
			}
		}
		r.sources = append(r.sources, format.Source{Name: filepath.Base(f.Path), Size: f.Size, SHA256: hex.EncodeToString(h.Sum(nil))})
	}
	return r
}

// blockPrefix is a module path up to its first number: the layers of a model
// are one section each, so that a reader may check and drop them one by one.
var blockPrefix = regexp.MustCompile(`^(.*?\.\d+)\.`)

// sectionName is the section of a tensor; of names too long for one the last modules remain.
func sectionName(tensor string) string {
	if m := blockPrefix.FindStringSubmatch(tensor); m != nil {
		return m[1]
	}
	for len(tensor) > format.MaxName {
		_, rest, ok := strings.Cut(tensor, ".")
		if !ok {
			break
		}
		tensor = rest
	}
	return tensor
}

// bySection orders the items by their sections, these by their first tensors.
func (p *Plan) bySection() []int {
	first := map[string]int{}
	order := make([]int, len(p.Items))
	for i := range p.Items {
		order[i] = i
		if name := sectionName(p.Items[i].Name); first[name] == 0 {
			first[name] = i + 1
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return first[sectionName(p.Items[a].Name)] - first[sectionName(p.Items[b].Name)]
	})
	return order
}

// weights streams every tensor into its section.
func (p *Plan) weights(ctx context.Context, w *format.Writer, h Hooks) ([]format.Tensor, error) {
	enc := format.Raw
	if p.Opt.Compress {
		enc = format.Zstd
	}
	out := make([]format.Tensor, len(p.Items))
	var done int64
	total := p.Values()
	s := newStream(w, enc)
	for _, i := range p.bySection() {
		it := &p.Items[i]
		name := sectionName(it.Name)
		if p.onTensors() { // params come in the order of the program, whatever modules they belong to
			name = "weights"
		}
		if name != s.name {
			if s.name != "" {
				s.end()
			}
			s.begin(name)
		}
		t, err := p.tensor(ctx, s, it, func(rows int) {
			done += int64(rows) * it.Values / int64(it.Shape[0])
			h.Progress(min(done, total), total)
		})
		if err == nil {
			err = s.err()
		}
		if err != nil {
			s.close()
			return nil, err
		}
		out[i] = *t
	}
	if s.name != "" {
		s.end()
	}
	return out, s.close()
}

// tensor quantizes one parameter and writes its parts.
func (p *Plan) tensor(ctx context.Context, s *stream, it *Item, progress func(rows int)) (*format.Tensor, error) {
	t := &format.Tensor{Name: it.Name, Shape: it.Shape, Format: it.Format, Group: it.Group, Scheme: it.Scheme, Reason: it.Reason}
	if it.Format == format.PlainF32 {
		v := make([]float32, it.Values)
		rows := 1
		if len(it.Shape) > 1 {
			rows = it.Shape[0]
		}
		if err := p.src.ReadRows(it.Name, 0, rows, v); err != nil {
			return nil, err
		}
		if p.cal != nil {
			p.cal.Source.Apply(it.Name, 0, rows, v)
		}
		progress(it.Shape[0])
		t.Parts = append(t.Parts, s.put(format.RoleData, num.BytesOf(v)))
		return t, nil
	}
	t.Layout = format.LayoutN16K4
	if it.codes != nil {
		return t, p.keepTensor(ctx, s, it, t, progress)
	}
	n, k := it.Shape[0], it.Shape[1]
	whole := linear.Weight{Format: linear.Format(it.Format), N: n, K: k, Group: it.Group} // but for Data
	data, groups, gscale, scale, sum, err := linear.Sizes(whole.Format, n, k, it.Group)
	if err != nil {
		return nil, err
	}
	whole.Groups, whole.GroupScale = make([]byte, groups), make([]float32, gscale)
	whole.Scale, whole.Sum = make([]float32, scale), make([]int32, sum)
	if it.input != "" {
		t.Format = format.I8Wild
		whole.AddWild(p.wild.of(it.input, k))
	}
	opt := quant.Options{Compat: p.compat, Scaled: it.scale != nil}
	copy(whole.Scale, it.scale)
	if p.compat != quant.CompatNone {
		opt.Source = rounder(it.dtype)
	}
	var done *linear.Weight
	if p.cal != nil {
		if done, err = p.cal.Load(it.Name); err != nil {
			return nil, err
		}
	}
	_, hqq := p.targets()[it.Name]
	hqq = hqq && whole.Format.Grouped() && p.hqq()
	var stored *safetensors.Tensor
	if it.whole {
		t, _ := p.ckpt.Tensor(it.Name)
		stored = t.Plain
	}
	workers := make([]*worker, p.Opt.Threads)
	for i := range workers {
		workers[i] = &worker{name: it.Name, src: p.src, stored: stored, cal: p.cal, done: done, hqq: hqq, q: quant.NewQuantizer(k, opt)}
	}
	t.Parts = append(t.Parts, s.place(format.RoleData, data))
	rows := min(p.chunkRows(whole.Format, k), num.Pad(n, 16))
	var total quant.Error
	for r0 := 0; r0 < n; r0 += rows {
		if err := errors.Join(ctx.Err(), s.err()); err != nil {
			return nil, err
		}
		chunk := rowsOf(&whole, r0, min(rows, n-r0))
		blocks := chunk.Blocks()
		chunk.Data = s.buffer(data / whole.Blocks() * blocks)
		errs := make([]error, blocks)
		noise := make([]quant.Error, blocks)
		par.For(p.Opt.Threads, blocks, func(worker, b int) {
			noise[b], errs[b] = workers[worker].block(&chunk, b, r0+16*b)
		})
		for b, err := range errs {
			if err != nil {
				return nil, err
			}
			total.Add(noise[b])
		}
		s.putBuffer(chunk.Data, r0 == 0)
		progress(chunk.N)
	}
	for _, part := range []struct {
		role format.Role
		b    []byte
	}{
		{format.RoleGroups, whole.Groups},
		{format.RoleGScale, num.BytesOf(whole.GroupScale)},
		{format.RoleScale, num.BytesOf(whole.Scale)},
		{format.RoleSum, num.BytesOf(whole.Sum)},
		{format.RoleWild, num.BytesOf(whole.Wild)},
		{format.RoleWildW, num.BytesOf(whole.WildData)},
	} {
		if len(part.b) > 0 {
			t.Parts = append(t.Parts, s.put(part.role, part.b))
		}
	}
	if total.Noise > 0 {
		t.SQNR = math.Round(total.SQNR()*1000) / 1000
	}
	return t, nil
}
