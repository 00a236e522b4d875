package convert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"time"
	"unsafe"

	"qpt/convert/safetensors"
	"qpt/format"
	"qpt/format/graph"
	"qpt/internal/num"
	"qpt/internal/par"
	"qpt/kernels"
)

// Hooks lets the caller watch a conversion.
type Hooks struct {
	// Progress is called with the values done and the number in all (in the
	// stage "calibrate": the groups of layers).
	Progress func(done, total int64)
	// Stage is called when a stage begins: "calibrate" (if any), "weights", "reference", "finish".
	Stage func(name string)
}

// Report is the result of a conversion.
type Report struct {
	Out      string
	FileSize int64
	Tensors  []format.Tensor // in the order of Plan.Items
	Seconds  float64
	RefRows  int      // rows of FP32 logits in the file
	Notes    []string // what did not go as planned
}

// Run carries out the plan. On failure or when ctx is done no output file is left.
func (p *Plan) Run(ctx context.Context, h Hooks) (*Report, error) {
	start := time.Now()
	if h.Progress == nil {
		h.Progress = func(int64, int64) {}
	}
	if h.Stage == nil {
		h.Stage = func(string) {}
	}
	hashes := make(chan hashResult, 1)
	hctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { hashes <- p.hashSources(hctx) }()

	w, err := format.Create(p.Opt.Out, format.WriteOptions{Threads: p.Opt.Threads})
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	if p.cal, err = p.calibrate(ctx, h); err != nil {
		return nil, err
	}
	h.Stage("weights")
	tensors, err := p.weights(ctx, w, h)
	if err != nil {
		return nil, err
	}
	rep := &Report{Out: p.Opt.Out, Tensors: tensors}
	if p.cal != nil {
		rep.Notes = p.cal.Notes
	}
	if p.Opt.References >= 0 {
		h.Stage("reference")
		refs, err := p.references(ctx)
		if err != nil {
			return nil, err
		}
		for _, c := range refs.Cases {
			rep.RefRows += len(c.Rows)
		}
		if err := w.WriteReferences(*refs); err != nil {
			return nil, err
		}
	}
	h.Stage("finish")
	if err := w.WriteTensors(tensors); err != nil {
		return nil, err
	}
	g, err := graph.Marshal(p.Model.Graph)
	if err != nil {
		return nil, err
	}
	if err := w.Put(format.KindGraph, format.KindGraph.String(), format.Zstd, g); err != nil {
		return nil, err
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
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := w.Commit(); err != nil {
		return nil, err
	}
	st, err := os.Stat(p.Opt.Out)
	if err != nil {
		return nil, err
	}
	rep.FileSize, rep.Seconds = st.Size(), time.Since(start).Seconds()
	return rep, nil
}

// meta is the provenance of the file. Nothing in it depends on the time, the machine or the number of threads.
func (p *Plan) meta(sources []format.Source) format.Meta {
	m := format.Meta{
		Tool: p.Opt.Tool,
		Model: format.ModelInfo{
			Name: p.Model.Name, Architecture: p.Model.Type, Parameters: p.Values(),
			Context: p.Model.MaxPos, BOS: p.Model.BOS, EOS: p.Model.EOS,
		},
		Sources: sources,
		Recipe:  format.Recipe{Scheme: p.Opt.Scheme},
	}
	opt := func(name, value string) {
		if value != "" {
			m.Recipe.Options = append(m.Recipe.Options, format.Option{Name: name, Value: value})
		}
	}
	opt("group", fmt.Sprint(p.Opt.Group))
	opt("compat", p.Opt.Compat)
	opt("include", p.Opt.Include)
	opt("exclude", p.Opt.Exclude)
	if p.cal != nil {
		m.Calibration = p.cal.sum
		m.Recipe.Options = append(m.Recipe.Options, p.cal.options...)
	}
	for _, o := range p.Opt.Overrides {
		m.Recipe.Overrides = append(m.Recipe.Overrides, format.Override{Match: o.Match, Scheme: o.Scheme})
	}
	return m
}

type hashResult struct {
	sources []format.Source
	err     error
}

// hashSources takes the SHA-256 of the checkpoint's files.
func (p *Plan) hashSources(ctx context.Context) (r hashResult) {
	buf := make([]byte, 1<<20)
	for _, f := range p.ckpt.Files() {
		src := format.Source{Name: filepath.Base(f.Path), Size: f.Size}
		file, err := os.Open(f.Path)
		if err != nil {
			r.err = err
			return r
		}
		h := sha256.New()
		for {
			if r.err = ctx.Err(); r.err != nil {
				file.Close()
				return r
			}
			n, err := file.Read(buf)
			h.Write(buf[:n])
			if err == io.EOF {
				break
			}
			if err != nil {
				file.Close()
				r.err = err
				return r
			}
		}
		file.Close()
		src.SHA256 = hex.EncodeToString(h.Sum(nil))
		r.sources = append(r.sources, src)
	}
	return r
}

// blockPrefix is a module path up to its first number: the layers of a model
// are one section each, so that a reader may check and drop them one by one.
var blockPrefix = regexp.MustCompile(`^(.*?\.\d+)\.`)

func sectionName(tensor string) string {
	if m := blockPrefix.FindStringSubmatch(tensor); m != nil {
		return m[1]
	}
	return tensor
}

// weights streams every tensor into its section.
func (p *Plan) weights(ctx context.Context, w *format.Writer, h Hooks) ([]format.Tensor, error) {
	enc := format.Raw
	if p.Opt.Compress {
		enc = format.Zstd
	}
	var out []format.Tensor
	var done int64
	total := p.Values()
	for i := 0; i < len(p.Items); {
		name := sectionName(p.Items[i].Name)
		s, err := w.Section(format.KindWeights, name, enc)
		if err != nil {
			return nil, err
		}
		for ; i < len(p.Items) && sectionName(p.Items[i].Name) == name; i++ {
			it := &p.Items[i]
			t, err := p.tensor(ctx, s, name, it, func(rows int) {
				done += int64(rows) * it.Values / int64(it.Shape[0])
				h.Progress(min(done, total), total)
			})
			if err != nil {
				return nil, err
			}
			out = append(out, *t)
		}
		if err := s.Close(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// tensor quantizes one parameter and writes its parts.
func (p *Plan) tensor(ctx context.Context, s *format.SectionWriter, section string, it *Item, progress func(rows int)) (*format.Tensor, error) {
	src, _ := p.ckpt.Tensor(it.Name)
	t := &format.Tensor{Name: it.Name, Shape: it.Shape, Format: it.Format, Group: it.Group, Scheme: it.Scheme, Reason: it.Reason}
	put := func(role format.Role, b []byte) error {
		if len(b) == 0 {
			return nil
		}
		if err := s.Align(64); err != nil {
			return err
		}
		t.Parts = append(t.Parts, format.Part{Role: role, Section: section, Offset: s.Offset(), Size: int64(len(b))})
		_, err := s.Write(b)
		return err
	}
	if it.Format == format.PlainF32 {
		v := make([]float32, it.Values)
		if err := readFinite(src, 0, src.NumRows(), v); err != nil {
			return nil, err
		}
		if p.cal != nil {
			p.cal.Source.Apply(it.Name, 0, 1, v)
		}
		progress(it.Shape[0])
		return t, put(format.RoleData, bytesOf(v))
	}
	t.Layout = format.LayoutN16K4
	n, k := it.Shape[0], it.Shape[1]
	f := kernels.Format(it.Format)
	rows := min(p.chunkRows(f, k), kernels.Pad(n, 16))
	var done *kernels.Weight // by calibration
	if p.cal != nil {
		done = p.cal.Weights[it.Name]
	}
	opt := kernels.QuantOptions{Compat: p.compat, Source: rounder(src.DType)}
	workers := make([]*worker, p.Opt.Threads)
	for i := range workers {
		workers[i] = &worker{rows: make([]float32, 16*k), q: kernels.NewQuantizer(k, opt)}
	}
	if err := s.Align(64); err != nil {
		return nil, err
	}
	data := format.Part{Role: format.RoleData, Section: section, Offset: s.Offset()}
	var small kernels.Weight // groups and scales of all rows
	var total kernels.Error
	wr := newAsyncWriter(s)
	defer wr.close()
	for r0 := 0; r0 < n; r0 += rows {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m := min(rows, n-r0)
		cw := wr.buffer(func() *kernels.Weight { return kernels.NewWeight(f, rows, k, it.Group) })
		size, groups, gscale, scale, sum, err := kernels.Sizes(f, m, k, it.Group)
		if err != nil {
			return nil, err
		}
		chunk := *cw
		chunk.N, chunk.Data = m, cw.Data[:size]
		blocks := (m + 15) / 16
		errs := make([]error, blocks)
		noise := make([]kernels.Error, blocks)
		par.For(p.Opt.Threads, blocks, func(worker, b int) {
			w := workers[worker]
			x := w.rows[:min(16, m-16*b)*k]
			r := r0 + 16*b
			if errs[b] = readFinite(src, r, r+len(x)/k, x); errs[b] != nil {
				return
			}
			if p.cal != nil {
				p.cal.Source.Apply(it.Name, r, r+len(x)/k, x)
			}
			if done != nil {
				noise[b] = copyBlock(&chunk, b, done, r/16, x)
			} else {
				noise[b] = w.block(&chunk, b, x)
			}
		})
		for b, err := range errs {
			if err != nil {
				return nil, err
			}
			total.Add(noise[b])
		}
		small.Groups = append(small.Groups, chunk.Groups[:groups]...)
		small.GroupScale = append(small.GroupScale, chunk.GroupScale[:gscale]...)
		small.Scale = append(small.Scale, chunk.Scale[:scale]...)
		small.Sum = append(small.Sum, chunk.Sum[:sum]...)
		wr.write(cw, size)
		data.Size += int64(size)
		progress(m)
	}
	if err := wr.close(); err != nil {
		return nil, err
	}
	t.Parts = append(t.Parts, data)
	for _, part := range []struct {
		role format.Role
		b    []byte
	}{
		{format.RoleGroups, small.Groups},
		{format.RoleGScale, bytesOf(small.GroupScale)},
		{format.RoleScale, bytesOf(small.Scale)},
		{format.RoleSum, bytesOf(small.Sum)},
	} {
		if err := put(part.role, part.b); err != nil {
			return nil, err
		}
	}
	if total.Noise > 0 {
		t.SQNR = math.Round(total.SQNR()*1000) / 1000
	}
	return t, nil
}

// worker is the memory of one goroutine.
type worker struct {
	rows []float32 // [16][K]
	q    *kernels.Quantizer
}

// block packs rows into block b of dst.
func (w *worker) block(dst *kernels.Weight, b int, rows []float32) (e kernels.Error) {
	switch dst.Format {
	case kernels.BF16:
		for _, v := range rows {
			d := float64(v) - float64(num.FromBF16(num.BF16(v)))
			e.Add(kernels.Error{Signal: float64(v) * float64(v), Noise: float64(d * d)})
		}
		fallthrough
	case kernels.F32:
		stride := len(dst.Data) / dst.Blocks()
		clear(dst.Data[b*stride:][:stride])
		dst.PutFloatRows(16*b, rows, len(rows)/dst.K)
		return e
	}
	return w.q.Block(dst, b, rows)
}

// chunkRows is how many rows are quantized before they are written: 16 MiB or
// an eighth of the memory cap, whole blocks of 16.
func (p *Plan) chunkRows(f kernels.Format, k int) int {
	data, _, _, _, _, _ := kernels.Sizes(f, 16, k, max(p.Opt.Group, 16))
	return 16 * int(max(1, min(16<<20, p.Opt.Mem/8)/int64(data)))
}

// readFinite reads rows and refuses NaN and infinities (numerics N2.4).
func readFinite(t *safetensors.Tensor, r0, r1 int, dst []float32) error {
	if err := t.ReadRows(r0, r1, dst); err != nil {
		return err
	}
	var sum float32
	for _, v := range dst {
		sum += v - v // 0, or NaN for ever
	}
	if sum == 0 {
		return nil
	}
	for i, v := range dst {
		if v-v != 0 {
			return fmt.Errorf("%w: tensor %q: value %d of row %d is %v: weights must be finite (repair or re-export the checkpoint)",
				ErrInput, t.Name, i%t.RowLen(), r0+i/t.RowLen(), v)
		}
	}
	return nil
}

// rounder rounds to the dtype of the checkpoint, for the compatibility modes.
func rounder(d safetensors.DType) func(float32) float32 {
	switch d {
	case safetensors.BF16:
		return func(x float32) float32 { return num.FromBF16(num.BF16(x)) }
	case safetensors.F16:
		return func(x float32) float32 { return num.FromF16(num.F16(x)) }
	}
	return nil
}

// bytesOf is the memory of v; every supported machine is little-endian.
func bytesOf[T float32 | int32](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*4)
}

// asyncWriter writes chunks while the next one is computed, with two buffers.
type asyncWriter struct {
	dst  io.Writer
	free chan *kernels.Weight
	work chan chunkWrite
	done chan struct{}
	made int
	err  error
}

type chunkWrite struct {
	w    *kernels.Weight
	size int
}

func newAsyncWriter(dst io.Writer) *asyncWriter {
	a := &asyncWriter{dst: dst, free: make(chan *kernels.Weight, 2), work: make(chan chunkWrite, 2), done: make(chan struct{})}
	go func(work <-chan chunkWrite) {
		defer close(a.done)
		for c := range work {
			if a.err == nil {
				_, a.err = a.dst.Write(c.w.Data[:c.size])
			}
			a.free <- c.w
		}
	}(a.work)
	return a
}

// buffer returns a chunk to fill.
func (a *asyncWriter) buffer(make func() *kernels.Weight) *kernels.Weight {
	if a.made < 2 {
		a.made++
		return make()
	}
	return <-a.free
}

func (a *asyncWriter) write(w *kernels.Weight, size int) { a.work <- chunkWrite{w, size} }

// close waits for all writes and returns their error; it may be called again.
func (a *asyncWriter) close() error {
	if a.work != nil {
		close(a.work)
		a.work = nil
	}
	<-a.done
	return a.err
}

// Memory estimates the working memory of Run in bytes: per core 16 rows of the
// widest layer in several forms, two chunks of packed rows, the scales of the
// largest layer, and the chunk of the FP32 run.
func (p *Plan) Memory() int64 {
	var most int64
	for i := range p.Items {
		it := &p.Items[i]
		if it.Format == format.PlainF32 {
			most = max(most, it.Bytes)
			continue
		}
		n, k := it.Shape[0], it.Shape[1]
		rows := min(p.chunkRows(kernels.Format(it.Format), k), kernels.Pad(n, 16))
		chunk, _, _, _, _, _ := kernels.Sizes(kernels.Format(it.Format), rows, k, it.Group)
		data, _, _, _, _, _ := kernels.Sizes(kernels.Format(it.Format), n, k, it.Group)
		most = max(most, 2*int64(chunk)+it.Bytes-int64(data)+int64(p.Opt.Threads)*16*int64(k)*9)
	}
	return most + 16<<20
}
