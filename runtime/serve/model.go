package serve

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"qpt/runtime/lm"
	"qpt/runtime/lm/calls"
	"qpt/runtime/lm/chat"
	"qpt/runtime/lm/tokenizer"
	"qpt/runtime/serve/sched"
)

// Model is a language model to be served.
type Model struct {
	Name    string // in requests
	Aliases []string
	LM      *lm.Model
}

// model is one that is served.
type model struct {
	name    string
	aliases []string
	lm      *lm.Model
	sched   *sched.Scheduler
	born    time.Time

	tok     *tokenizer.Tokenizer // nil when the file has none
	chat    chat.Template
	chatErr error // why the template cannot be used
	longest int   // bytes of a token's spelling

	calls     *calls.Format    // how the model writes calls of tools; nil: it is not known
	reasoning *calls.Reasoning // and what it thinks; nil: it does not
}

func newModel(m Model, opt *Options) (*model, error) {
	n := &model{name: m.Name, aliases: m.Aliases, lm: m.LM, born: time.Now()}
	if m.Name == "" {
		return nil, errors.New("a model without a name")
	}
	var err error
	if n.tok, err = m.LM.Tokenizer(); err != nil {
		n.chatErr = err
		return n, nil
	}
	n.chat, n.chatErr = chat.Of(n.tok)
	if err := n.setFamily(n.tok.ChatTemplate(), opt); err != nil {
		return nil, err
	}
	for id := range int32(n.tok.VocabSize()) {
		if word, ok := n.tok.Token(id); ok {
			n.longest = max(n.longest, len(word))
		}
	}
	return n, nil
}

// setFamily decides how answers are read: as the options say, else as the template's family writes them.
func (m *model) setFamily(template string, opt *Options) (err error) {
	m.calls, m.reasoning = calls.ForTemplate(template), calls.ReasoningForTemplate(template)
	if opt.ToolParser != "" {
		if m.calls, err = calls.Named(opt.ToolParser, template); err != nil {
			return err
		}
	}
	if opt.ReasoningParser != "" {
		m.reasoning, err = calls.ReasoningNamed(opt.ReasoningParser)
	}
	return err
}

// names are all by which a request may ask for the model.
func (m *model) names() []string { return append([]string{m.name}, m.aliases...) }

// find returns the model of a name; "" is the first.
func (s *Server) find(name string) (*model, error) {
	if name == "" {
		return s.models[0], nil
	}
	if m := s.byName[name]; m != nil {
		return m, nil
	}
	return nil, &apiError{status: 404, kind: "invalid_request_error", code: "model_not_found", param: "model",
		message: fmt.Sprintf("the model %.100q does not exist; GET /v1/models lists those there are", name)}
}

var byteToken = regexp.MustCompile(`^<0x[0-9A-F]{2}>$`)

// bytes are what a token adds to a text, special ones their spelling.
func (m *model) bytes(id int32) []byte {
	word, ok := m.tok.Token(id)
	if !ok {
		return nil
	}
	if byteToken.MatchString(word) {
		b, _ := strconv.ParseUint(word[3:5], 16, 8)
		return []byte{byte(b)}
	}
	s := m.tok.NewStream(false)
	s.Next(id) // behind a beginning, where leading spaces count
	text := s.Next(id) + s.Flush()
	if !strings.ContainsRune(text, '\uFFFD') {
		return []byte(text)
	}
	return byteLevel(word)
}

// byteLevel spells a token of GPT-2's alphabet as bytes.
func byteLevel(word string) (b []byte) {
	for _, r := range word {
		switch {
		case r >= '!' && r <= '~', r >= '¡' && r <= '¬', r >= '®' && r <= 'ÿ':
			b = append(b, byte(r))
		case r >= 0x100 && r <= 0x120: // 0 to 0x20
			b = append(b, byte(r-0x100))
		case r >= 0x121 && r <= 0x142: // 0x7f to 0xa0
			b = append(b, byte(r-0x121+0x7f))
		case r == 0x143:
			b = append(b, 0xad)
		default:
			b = append(b, string(r)...)
		}
	}
	return b
}
