package convert

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"

	"qpt/calibrate"
	"qpt/runtime/lm/tokenizer"
)

// fitDamp is how much of the mean square of inputs is added to each: texts to come are others.
const fitDamp = 0.1

// fitSamples of fitLength tokens are about what fitTexts gives (all-MiniLM-L6-v2: 411 texts, 7,280 tokens).
const (
	fitSamples = 411
	fitLength  = 18
)

// fitSigns are signs of ASCII, Latin-1, punctuation, arrows, operators, and of boxes.
var fitSigns = func() (list []rune) {
	for _, r := range [][2]rune{{'!', '~'}, {0xa1, 0xff}, {0x2010, 0x203a}, {0x20ac, 0x20ac}, {0x2190, 0x2199}, {0x2200, 0x22a5}, {0x2500, 0x25ff}, {0x3001, 0x3011}} {
		for c := r[0]; c <= r[1]; c++ {
			list = append(list, c)
		}
	}
	return list
}()

// fit rounds the int8 layers of an encoder whose layers have wild columns on texts that need no data (numerics N8.10).
func (p *Plan) fit(ctx context.Context, h Hooks) (*calibration, error) {
	text, err := p.fitTexts(ctx)
	if err != nil {
		return nil, err
	}
	opt := p.fitOptions()
	opt.Progress = func(done, total int) { h.Progress(int64(done), int64(total)) }
	h.Stage("calibrate")
	c := new(calibration)
	opt.Seqs, opt.Types, opt.Samples = text.seqs, text.types, len(text.seqs)
	if c.Result, err = calibrate.Run(ctx, p.graph, p.src, opt); errors.Is(err, calibrate.ErrOverflow) { // ESM on nothing but masks
		opt.Seqs, opt.Types = p.refTokens()
		opt.Samples = len(opt.Seqs)
		if c.Result, err = calibrate.Run(ctx, p.graph, p.src, opt); err == nil {
			c.Notes = append(c.Notes, "the model overflows on rows of random tokens: its int8 layers are rounded on the texts of the FP32 results alone, which rows of one sign may show")
		}
	}
	return c, err
}

// fitOptions are those of calibrate.Run but for the text.
func (p *Plan) fitOptions() calibrate.Options {
	opt := p.calibrateOptions()
	opt.GPTQ, opt.Order, opt.Damp = true, true, fitDamp
	return opt
}

// fits tells whether fit is wanted.
func (p *Plan) fits() bool {
	return !p.calibrates() && slices.ContainsFunc(p.Items, func(it Item) bool { return it.input != "" })
}

// refTokens are the texts of the references.
func (p *Plan) refTokens() (seqs, types [][]int32) {
	for _, c := range p.refs.Cases {
		seqs, types = append(seqs, c.Tokens), append(types, c.Types)
	}
	return seqs, types
}

// fitTexts are the texts of the references, and rows of tokens that show what no such text does: at random, one over and over, one
// sign over and over as the tokenizer writes it, two to four over and over; all between what the tokenizer puts round a text.
func (p *Plan) fitTexts(ctx context.Context) (text sequences, err error) {
	text.seqs, text.types = p.refTokens()
	var before, behind []int32
	if p.tok != nil {
		before, behind = p.tok.Around()
		if ids := slices.Concat(before, behind); len(ids) > 0 && int(slices.Max(ids)) >= p.Model.Vocab {
			before, behind = nil, nil
		}
	}
	rng := rand.New(rand.NewPCG(8, 10))
	token := func() int32 { return rng.Int32N(int32(p.Model.Vocab)) }
	add := func(n int, period []int32) {
		n = max(min(n, p.Model.MaxPos-len(before)-len(behind)), 1)
		ids := slices.Clone(before)
		for i := range n {
			ids = append(ids, period[i%len(period)])
		}
		text.seqs = append(text.seqs, append(ids, behind...))
	}
	lengths := []int{2, 4, 8, 16, 32}
	draw := func(n int) (ids []int32) {
		for range n {
			ids = append(ids, token())
		}
		return ids
	}
	for i := range 64 {
		n := lengths[i%len(lengths)]
		add(n, draw(n))
	}
	for i := range 96 {
		add(lengths[i%len(lengths)], draw(1))
	}
	var signs []int32
	for _, c := range fitSigns {
		if p.tok == nil {
			break
		}
		e, err := p.tok.EncodeText(ctx, strings.Repeat(string(c), []int{4, 12, 40}[len(signs)%3]), tokenizer.EncodeOptions{MaxLength: p.Model.MaxPos})
		if ctx.Err() != nil {
			return text, ctx.Err()
		}
		if err != nil || len(e.IDs) == 0 || int(slices.Max(e.IDs)) >= p.Model.Vocab {
			continue
		}
		if sign := e.IDs[len(e.IDs)/2]; !slices.Contains(signs, sign) { // else as others that the tokenizer does not know
			text.seqs, signs = append(text.seqs, e.IDs), append(signs, sign)
		}
	}
	for i := range 48 {
		period := draw(2 + i%3)
		for j := range period {
			if len(signs) > 0 && rng.IntN(2) == 0 {
				period[j] = signs[rng.IntN(len(signs))]
			}
		}
		add(lengths[2+i%3], period)
	}
	return text, nil
}
