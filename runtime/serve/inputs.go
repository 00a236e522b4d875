package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"qpt/runtime/encoder"
	"qpt/runtime/lm"
	"qpt/runtime/lm/tokenizer"
	"qpt/runtime/serve/sched"
)

// maxInputs bounds the texts of a request that are read whole: OpenAI's limit of embeddings.
const maxInputs = 2048

// cutting are the parameters that say what becomes of texts longer than the model takes: an error, unless they say to cut.
type cutting struct {
	Cut    *bool `json:"truncate"`               // Cohere's, Jina's, TEI's, Ollama's
	Tokens *int  `json:"truncate_prompt_tokens"` // vLLM's: to so many, -1 for what the model takes
}

// most is how many tokens a text is cut to; -1: to none.
func (p *cutting) most(m *model) (int, error) {
	switch {
	case p.Tokens != nil && (*p.Tokens < -1 || *p.Tokens == 0 || *p.Tokens > m.context):
		return 0, refuse("truncate_prompt_tokens", "truncate_prompt_tokens %d: must be 1 to %d, or -1 for %d", *p.Tokens, m.context, m.context)
	case p.Tokens != nil && *p.Tokens > 0:
		return *p.Tokens, nil
	case p.Tokens != nil, p.Cut != nil && *p.Cut:
		return m.context, nil
	}
	return -1, nil
}

// whole makes what the model reads of a text, or of a pair.
func (m *model) whole(ctx context.Context, most int, list ...string) (e tokenizer.Encoding, err error) {
	if m.tok == nil {
		return e, lm.ErrNoTokenizer
	}
	if most < 0 {
		size := 0
		for _, text := range list {
			size += len(text)
		}
		if err := m.fits(size); err != nil {
			return e, err
		}
	}
	o := tokenizer.EncodeOptions{MaxLength: most}
	switch {
	case len(list) == 2:
		e, err = m.tok.EncodePair(ctx, list[0], list[1], o)
	case m.enc != nil:
		e, err = m.tok.EncodeText(ctx, list[0], o)
	default: // as a prompt
		if e.IDs, err = m.tok.Encode(ctx, list[0], true); err == nil && most > 0 {
			e.IDs = e.IDs[:min(len(e.IDs), most)]
		}
		if bos := m.file.Meta.Model.BOS; len(e.IDs) == 0 && bos >= 0 {
			e.IDs = []int32{int32(bos)}
		}
	}
	return e, err
}

// check refuses what the model cannot read.
func (m *model) check(param string, i int, e *tokenizer.Encoding) error {
	switch n := len(e.IDs); {
	case n == 0:
		return refuse(param, "text %d is empty", i)
	case n > m.context:
		return fmt.Errorf("%w: text %d has %d tokens, the model takes %d", sched.ErrContext, i, n, m.context)
	}
	return m.known(param, e.IDs)
}

// inputs reads what is to be read whole: a text, texts, ids, or lists of ids.
func (m *model) inputs(ctx context.Context, raw json.RawMessage, cut *cutting) (list []tokenizer.Encoding, err error) {
	const param = "input"
	most, err := cut.most(m)
	if err != nil {
		return nil, err
	}
	many, lists, err := readTexts(param, raw, maxInputs)
	if err != nil {
		return nil, err
	}
	for _, text := range many {
		e, err := m.whole(ctx, most, text)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	for _, ids := range lists {
		if most > 0 {
			ids = ids[:min(len(ids), most)]
		}
		list = append(list, tokenizer.Encoding{IDs: ids, TypeIDs: make([]int32, len(ids))})
	}
	for i := range list {
		if err := m.check(param, i, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// read runs texts together with those of other requests and accounts for them.
func (s *Server) read(c *call, m *model, list []tokenizer.Encoding, output string) ([][]float32, *usage, error) {
	u := &usage{}
	for _, e := range list {
		u.Prompt += len(e.IDs)
	}
	u.Total = u.Prompt
	c.note.mu.Lock()
	c.note.model, c.note.prompt = m.name, u.Prompt
	c.note.mu.Unlock()
	t := sched.Times{Arrived: time.Now(), Prompt: u.Prompt, Finish: sched.FinishStop}
	rows, err := m.batch.read(c.ctx(), list, output)
	if t.Err = err; err != nil {
		t.Finish = ""
	}
	s.metrics.observer(m.name).Done(&t)
	return rows, u, err
}

// lastState makes embeddings of a language model, which have no name among its outputs.
func (m *model) lastState(ctx context.Context, list []tokenizer.Encoding, _ string) ([][]float32, error) {
	ids := make([][]int32, len(list))
	for i := range list {
		ids[i] = list[i].IDs
	}
	return m.lm.Embed(ctx, ids)
}

// embeds refuses a model that makes no embeddings.
func (m *model) embeds() error {
	switch {
	case m.lm != nil:
		if _, err := m.lm.LastHidden(); err != nil {
			return refuse("model", "the model %s makes no embeddings: %s", m.name, err)
		}
	case m.enc.Width() == 0:
		return refuse("model", "the model %s makes no embeddings: %s", m.name, m.gives())
	}
	return nil
}

// gives says what an encoder is for.
func (m *model) gives() string {
	switch {
	case m.enc == nil:
		return "it writes texts"
	case m.enc.Width() > 0:
		return "it is for /v1/embeddings"
	case m.enc.PerToken():
		return "it classifies tokens: /classify"
	}
	if _, n, err := m.enc.Classes(); err == nil && n == 1 {
		return "it scores pairs: /rerank and /score"
	} else if err == nil {
		return "it classifies texts: /classify"
	}
	return fmt.Sprintf("its file gives %q", m.file.Graph.Outputs)
}

// embed makes embeddings, cut to their first dimensions (0: whole) and then scaled to length 1.
func (s *Server) embed(c *call, m *model, list []tokenizer.Encoding, dimensions *int) ([][]float32, *usage, error) {
	rows, u, err := s.read(c, m, list, encoder.Embedding)
	if err != nil || dimensions == nil {
		return rows, u, err
	}
	for i, r := range rows {
		if *dimensions < 1 || *dimensions > len(r) {
			return nil, nil, refuse("dimensions", "dimensions %d: must be 1 to %d", *dimensions, len(r))
		}
		rows[i] = lm.Normalized(r[:*dimensions])
	}
	return rows, u, nil
}
