package convert

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"qpt/calibrate"
	"qpt/convert/stored"
	"qpt/format"
	"qpt/format/graph"
	"qpt/kernels/linear"
	"qpt/kernels/quant"
	"qpt/runtime/encoder"
	"qpt/runtime/lm/corpus"
)

// calibration is what the weights stage needs of the calibrate stage.
type calibration struct {
	*calibrate.Result
	static   []format.Activation // for s8s8 layers
	results  []format.Result
	coverage *Coverage
	sqnr     float64 // of a network on tensors, of its results on calibration rows, in dB
}

// targets are the linear layers that calibration rounds, by parameter: int4,
// int6 and int8, but not the output layer and embedding tables; wild columns are there once they are known.
func (p *Plan) targets() map[string]calibrate.Target {
	tables, heads, _ := roles(p.graph)
	m := map[string]calibrate.Target{}
	for i := range p.Items {
		it := &p.Items[i]
		f := linear.Format(it.Format)
		if f != linear.I4 && f != linear.I6 && f != linear.I8 || tables[it.Name] || heads[it.Name] {
			continue
		}
		t := calibrate.Target{Format: f, Group: it.Group, Form: mustScheme(it.Scheme).Form}
		if it.input != "" && p.wild != nil {
			t.Wild = p.wild.of(it.input, it.Shape[1])
		}
		m[it.Name] = t
	}
	return m
}

// checkAlgorithms refuses algorithms that have nothing to do; schemes are decided by then.
func (p *Plan) checkAlgorithms() error {
	if !p.onTensors() && slices.Contains(p.Recipe.Calibration.Algorithms, "equalize") {
		return fmt.Errorf("%w: algorithm %q is for networks on tensors; language models have rotate and scales", ErrUsage, "equalize")
	}
	if p.calibrates() {
		if err := p.checkText(); err != nil {
			return err
		}
	}
	for _, t := range p.targets() {
		if t.Format.Grouped() {
			return nil
		}
	}
	for _, a := range p.Recipe.Calibration.Algorithms {
		if a == "clip" || a == "hqq" {
			return fmt.Errorf("%w: algorithm %q chooses the groups of int4 and int6 weights, but no layer has any", ErrUsage, a)
		}
	}
	return nil
}

// Writes reports whether the model can write its own calibration text: encoders cannot.
func (p *Plan) Writes() bool { return !p.onTensors() && encoder.Check(p.Model.Graph) != nil }

// checkText refuses to go on without a text where the model cannot write one.
func (p *Plan) checkText() error {
	if p.Opt.Calib == "" && !p.Writes() {
		return fmt.Errorf("%w: an encoder writes no text to calibrate on: give one like those that it will read (--calib FILE), or --preset fast; s8s8 always needs one, da8w8 none", ErrUsage)
	}
	return nil
}

// calibrateOptions are those of calibrate.Run but for the text.
func (p *Plan) calibrateOptions() calibrate.Options {
	targets, how := p.targets(), p.Recipe.Calibration
	opt := calibrate.Options{Threads: p.Opt.Threads, Damp: how.Damp, Alpha: how.Alpha, Beta: how.Beta, Memory: p.heap(), TempDir: filepath.Dir(p.Opt.Out), Samples: how.Samples, Length: min(how.Length, p.Model.MaxPos),
		Target: func(name string) (calibrate.Target, bool) { t, ok := targets[name]; return t, ok }}
	opt.Enable(how.Algorithms...) // the recipe was checked
	set(&opt.Sweeps, how.Sweeps)
	return opt
}

// calibrates reports whether calibrate.Run has something to do.
func (p *Plan) calibrates() bool {
	return calibrate.NeedText(p.Recipe.Calibration.Algorithms) && len(p.targets()) > 0
}

// Forecast estimates how long calibration takes with as much text as the recipe allows (calibrate.Forecast), without the writing of it, or the rounding fit of an encoder; 0 if there is neither.
func (p *Plan) Forecast() time.Duration {
	switch {
	case p.calibrates():
		return calibrate.Forecast(p.graph, p.calibrateOptions())
	case p.fits():
		opt := p.fitOptions()
		opt.Samples, opt.Length = fitSamples, fitLength
		return calibrate.Forecast(p.graph, opt)
	}
	return 0
}

// hqq reports whether layers with groups are rounded by HQQ as they are read, without calibrate.Run.
func (p *Plan) hqq() bool {
	return !p.calibrates() && slices.Contains(p.Recipe.Calibration.Algorithms, "hqq")
}

// journal is the file that keeps finished layers from one run to the next.
func (p *Plan) journal() string { return p.Opt.Out + ".calibration" }

// calibrationKey is a digest of all that the rounded layers depend on.
func (p *Plan) calibrationKey(sources []format.Source, text sequences) (key [32]byte) {
	d := sha256.New()
	json.NewEncoder(d).Encode([]any{p.Opt.Tool, p.Recipe, sources, p.Items, text.seqs, text.types})
	return [32]byte(d.Sum(nil))
}

// calibrate rounds the targets on the calibration text and observes the ranges
// of static activations; nil if there is neither. sources waits for the checkpoint's digests.
func (p *Plan) calibrate(ctx context.Context, h Hooks, sources func() ([]format.Source, error)) (*calibration, error) {
	if p.onTensors() {
		return p.observeTensors(ctx, h)
	}
	if !p.calibrates() && p.wild != nil && p.refs != nil {
		return p.fit(ctx, h)
	}
	if !p.calibrates() && len(p.staticValues()) == 0 {
		return nil, nil
	}
	text, err := p.calibrationText(ctx, h, p.Recipe.Calibration)
	if err != nil {
		return nil, err
	}
	seqs := text.seqs
	c := &calibration{coverage: p.cover(seqs)}
	if c.Result = (&calibrate.Result{Source: &calibrate.Folded{Source: p.src}}); p.calibrates() {
		opt := p.calibrateOptions()
		opt.Seqs, opt.Types = seqs, text.types
		opt.Progress = func(done, total int) { h.Progress(int64(done), int64(total)) }
		if p.Opt.Resume {
			files, err := sources()
			if err != nil {
				return nil, err
			}
			opt.Journal, opt.Key = p.journal(), p.calibrationKey(files, text)
		}
		h.Stage("calibrate")
		if c.Result, err = calibrate.Run(ctx, p.graph, p.src, opt); err != nil {
			return nil, err
		}
	}
	if c.static, err = p.observe(ctx, c.Source, text, h); err != nil {
		c.Close()
		return nil, err
	}
	c.coverage.Sites = c.Sites
	c.results = c.coverage.results()
	return c, nil
}

// sequences are a calibration text as tokens, and of a model that reads whole texts their types.
type sequences struct{ seqs, types [][]int32 }

// calibrationText reads the text, or lets the model write it.
func (p *Plan) calibrationText(ctx context.Context, h Hooks, how *format.Calibration) (text sequences, err error) {
	length := min(how.Length, p.Model.MaxPos)
	if p.Opt.Calib == "" {
		h.Stage("sample")
		text.seqs, err = calibrate.OwnText(ctx, p.Model.Graph, graph.Views(p.Model.Graph, finiteSource{p.ckpt}), calibrate.OwnTextOptions{BOS: p.Model.BOS, EOS: p.Model.EOS, Vocab: p.Model.Vocab,
			Samples: how.Samples, Length: length, Seed: how.Seed, Threads: p.Opt.Threads, Memory: p.Opt.Mem / 2,
			Progress: func(done, total int) { h.Progress(int64(done), int64(total)) }})
		d := sha256.New()
		binary.Write(d, binary.LittleEndian, slices.Concat(text.seqs...))
		p.sum = hex.EncodeToString(d.Sum(nil))
	} else {
		reader := corpus.NewReader(p.tok, p.Model.Vocab)
		reader.Most = p.Model.MaxPos
		opt := calibrate.TextOptions{Reader: reader, BOS: p.Model.BOS, Samples: how.Samples, Length: length, Seed: how.Seed,
			Tensors: func(path string, file []byte) ([][]int32, error) { return idRows(path, file, p.Model) }}
		if p.Writes() {
			text.seqs, p.sum, err = calibrate.Text(ctx, p.Opt.Calib, opt)
		} else {
			text.seqs, text.types, p.sum, err = calibrate.Texts(ctx, p.Opt.Calib, opt)
		}
		p.wrote = reader.Wrote
	}
	for _, ids := range text.seqs {
		if id := slices.Max(ids); int(id) >= p.Model.Vocab { // a tokenizer may know more than the model
			return text, fmt.Errorf("%w: %s: its text has token %d, the model knows %d tokens", ErrInput, p.Opt.Calib, id, p.Model.Vocab)
		}
	}
	return text, err
}

// cover measures what a calibration text covers.
func (p *Plan) cover(seqs [][]int32) *Coverage {
	seen := make([]bool, p.Model.Vocab)
	c := &Coverage{Own: p.Opt.Calib == "", Messages: p.wrote, Samples: len(seqs), Vocab: p.Model.Vocab}
	for _, ids := range seqs {
		c.Tokens += len(ids)
		for _, id := range ids {
			if !seen[id] {
				seen[id] = true
				c.Distinct++
			}
		}
	}
	return c
}

// Coverage is what the calibration text shows of the model.
type Coverage struct {
	Own             bool   // the model wrote it
	Messages        string // how messages in it were written: "chat template" or "joined"; "" if there are none
	Samples, Tokens int
	Distinct, Vocab int              // tokens of the vocabulary in it, and in all
	Sites           []calibrate.Site // inputs of the layers rounded
}

// Dead is how many input channels were 0 at every token, of how many.
func (c *Coverage) Dead() (dead, inputs int) {
	for _, s := range c.Sites {
		dead, inputs = dead+s.Dead, inputs+s.Inputs
	}
	return dead, inputs
}

// results are for the file's provenance.
func (c *Coverage) results() []format.Result {
	list := []format.Result{{Name: "calib-samples", Value: fmt.Sprint(c.Samples)}, {Name: "calib-tokens", Value: fmt.Sprint(c.Tokens)},
		{Name: "calib-vocabulary", Value: fmt.Sprintf("%d of %d", c.Distinct, c.Vocab)}}
	if c.Own {
		list = append(list, format.Result{Name: "calib-text", Value: "the model's own"})
	}
	if c.Messages != "" {
		list = append(list, format.Result{Name: "calib-messages", Value: c.Messages})
	}
	if dead, inputs := c.Dead(); dead > 0 {
		list = append(list, format.Result{Name: "calib-dead-inputs", Value: fmt.Sprintf("%d of %d", dead, inputs)})
	}
	return list
}

// finiteSource reads the checkpoint and refuses NaN and infinities.
type finiteSource struct{ ckpt *stored.Checkpoint }

func (s finiteSource) ReadRows(name string, r0, r1 int, dst []float32) error {
	t, ok := s.ckpt.Tensor(name)
	if !ok {
		return fmt.Errorf("%w: tensor %q is missing", ErrInput, name)
	}
	if len(t.Shape) == 1 { // one row to a graph, values to the file
		r0, r1 = 0, t.Shape[0]
	}
	return readFinite(t, r0, r1, dst)
}

// ReadPart implements graph.PartReader.
func (s finiteSource) ReadPart(name string, from int, dst []float32) error {
	t, ok := s.ckpt.Tensor(name)
	if !ok {
		return fmt.Errorf("%w: tensor %q is missing", ErrInput, name)
	}
	if err := t.ReadPart(from, dst); err != nil {
		return err
	}
	return checkFinite(t, from, dst)
}

// copyBlock copies block from of src into block b of dst and measures it against rows.
func copyBlock(dst *linear.Weight, b int, src *linear.Weight, from int, rows []float32) (e quant.Error) {
	copyPart(dst.Data, b, src.Data, from, src.Blocks())
	copyPart(dst.Groups, b, src.Groups, from, src.Blocks())
	copyPart(dst.Scale, b, src.Scale, from, src.Blocks())
	copyPart(dst.Sum, b, src.Sum, from, src.Blocks())
	copyPart(dst.WildData, b, src.WildData, from, src.Blocks())
	codes := make([]int8, src.K)
	for i := 0; i < len(rows); i += src.K {
		n := 16*from + i/src.K
		linear.Row(src, n, codes)
		for k, c := range codes {
			v := float64(rows[i+k])
			d := v - float64(c)*float64(src.Scale[n])
			e.Signal += float64(v * v)
			e.Noise += float64(d * d)
		}
	}
	return e
}

// copyPart copies one of blocks equal parts.
func copyPart[T any](dst []T, to int, src []T, from, blocks int) {
	n := len(src) / blocks
	copy(dst[to*n:(to+1)*n], src[from*n:(from+1)*n])
}
