package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"qpt/internal/cli"
	"qpt/internal/ui"
	"qpt/runtime/lm"
	"qpt/runtime/lm/sample"
)

// generation are the flags of a text.
type generation struct {
	prompt string // the text, after read
	list   string // --ids
	ids    []int32
	opt    lm.GenerateOptions
	form   constraintFlags
}

func (g *generation) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVarP(&g.prompt, "prompt", "p", "", "`TEXT` to continue, - for what stdin holds")
	f.StringVar(&g.list, "ids", "", "token `IDS` to continue instead of a text, as they are, such as 1,403,407")
	f.IntVarP(&g.opt.MaxTokens, "max-tokens", "n", 256, "tokens to generate at most (0: until the context is full)")
	f.StringArrayVar(&g.opt.Stop, "stop", nil, "end before this `TEXT` (repeatable)")
	sampling(f, &g.opt.Sample)
	g.form.flags(f)
}

// check finds wrong flags before any work.
func (g *generation) check(c *cobra.Command, quiet bool) error {
	if g.opt.MaxTokens < 0 {
		return fmt.Errorf("%w: --max-tokens %d: must not be negative", cli.ErrUsage, g.opt.MaxTokens)
	}
	if _, err := sample.New(g.opt.Sample); err != nil {
		return fmt.Errorf("%w: %w", cli.ErrUsage, err)
	}
	if err := g.form.read(c.Flags()); err != nil {
		return err
	}
	if g.opt.Sample.Temperature > 0 || quiet {
		return nil
	}
	for _, flag := range []string{"top-k", "top-p", "min-p", "seed"} {
		if c.Flags().Changed(flag) {
			ui.Note("qrun", "--%s has no effect at temperature 0, where the likeliest token is taken: give --temperature, such as 0.8", flag)
		}
	}
	return nil
}

// read finds what to continue, before any work: --ids, --prompt, or stdin if
// it may serve. given says whether there was anything.
func (g *generation) read(c *cobra.Command, stdin bool) (given bool, err error) {
	text, list := c.Flags().Changed("prompt"), c.Flags().Changed("ids")
	switch {
	case text && list:
		return false, fmt.Errorf("%w: give --prompt or --ids, not both", cli.ErrUsage)
	case list:
		g.ids, err = parseIDs(g.list)
		return true, err
	case text && g.prompt != "-":
		if !utf8.ValidString(g.prompt) {
			return false, fmt.Errorf("%w: --prompt: the text is not UTF-8", cli.ErrUsage)
		}
		return true, nil
	case text || stdin && piped():
		g.prompt, err = readStdin(c.Context())
		return g.prompt != "", err
	}
	return false, nil
}

// parseIDs reads token ids with commas or blanks between them.
func parseIDs(list string) ([]int32, error) {
	ids := []int32{}
	for _, word := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		id, err := strconv.ParseInt(word, 10, 32)
		if err != nil || id < 0 {
			return nil, fmt.Errorf("%w: --ids: %q is no token id, want whole numbers such as 1,403,407", cli.ErrUsage, word)
		}
		ids = append(ids, int32(id))
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("%w: --ids: no token ids, want such as 1,403,407", cli.ErrUsage)
	}
	return ids, nil
}

// piped tells whether stdin is a pipe or a file, which holds something for us.
func piped() bool {
	st, err := os.Stdin.Stat()
	return err == nil && (st.Mode().IsRegular() || st.Mode()&os.ModeNamedPipe != 0)
}

// maxPrompt is far above what any context holds.
const maxPrompt = 64 << 20

// readStdin returns all of stdin but its last line end, which comes from the
// editor or from echo.
func readStdin(ctx context.Context) (string, error) {
	type result struct {
		data []byte
		err  error
	}
	c := make(chan result, 1)
	go func() {
		data, err := io.ReadAll(io.LimitReader(os.Stdin, maxPrompt+1))
		c <- result{data, err}
	}()
	wait := time.AfterFunc(2*time.Second, func() {
		ui.Note("qrun", "reading the prompt from stdin until it ends; --prompt TEXT gives it otherwise, </dev/null none")
	})
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case r := <-c:
		if r.err != nil {
			return "", fmt.Errorf("stdin: %w", r.err)
		}
		if len(r.data) > maxPrompt {
			return "", fmt.Errorf("%w: stdin: a prompt has %s at most", errInput, ui.Size(maxPrompt))
		}
		text, err := utf8Text("stdin", r.data)
		text, _ = strings.CutSuffix(text, "\n")
		text, _ = strings.CutSuffix(text, "\r")
		return text, err
	}
}

// utf8Text is the text of a file, which must be UTF-8: other bytes would silently become other tokens.
func utf8Text(name string, data []byte) (string, error) {
	if !utf8.Valid(data) {
		return "", fmt.Errorf("%w: %s is no UTF-8 text: save it as UTF-8", errInput, name)
	}
	return string(data), nil
}

// encode gives the token ids to continue.
func (g *generation) encode(ctx context.Context, m *lm.Model) ([]int32, error) {
	tok, err := m.Tokenizer()
	if g.ids != nil {
		for _, id := range g.ids {
			if int(id) >= m.Vocab() {
				return nil, fmt.Errorf("%w: --ids: token id %d: must be below %d", cli.ErrUsage, id, m.Vocab())
			}
		}
		if err != nil && len(g.opt.Stop) > 0 {
			return nil, fmt.Errorf("%w: --stop needs a tokenizer, which the file lacks", cli.ErrUsage)
		}
		return g.ids, nil
	}
	if err != nil {
		return nil, &ui.ExitError{Code: ui.Failure, Err: err, Hint: "--ids 1,403,407 gives token ids; a tokenizer.json beside the checkpoint is taken in when converting"}
	}
	ids, err := tok.Encode(ctx, g.prompt, true)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("%w: the prompt gives no tokens and the model has no begin-of-text token: give some text", cli.ErrUsage)
	}
	return ids, nil
}

func generateCommand(o *options) *cobra.Command {
	var g generation
	c := &cobra.Command{
		Use:   "generate FILE.qpt --prompt TEXT",
		Short: "Continue a text",
		Long: `generate continues a text and writes what follows to stdout. The text is that of
--prompt; without it, what stdin holds if it is a pipe or a file; else the model
begins a text.`,
		Example: `  qrun generate m.qpt --prompt "Once upon a time"
  qrun generate m.qpt < story.txt
  qrun generate m.qpt --ids 1,403,407`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := cli.ModelArg(c, args, &o.model); err != nil {
				return err
			}
			if err := g.check(c, o.Quiet); err != nil {
				return err
			}
			if _, err := g.read(c, true); err != nil {
				return err
			}
			return runPrompt(c.Context(), o, &g, &limits{})
		},
	}
	cli.CompleteFiles(c, "", "qpt")
	g.flags(c)
	return c
}

// runPrompt streams the continuation of a prompt to stdout, once the limits hold.
func runPrompt(ctx context.Context, o *options, g *generation, l *limits) error {
	m, err := o.open()
	if err != nil {
		return err
	}
	defer m.Close()
	ids, err := g.encode(ctx, m)
	if err != nil {
		return err
	}
	if g.opt.Constraint, err = g.form.start(m); err != nil {
		return err
	}
	if err := l.hold(ctx, m, o.model); err != nil {
		return err
	}
	_, noText := m.Tokenizer()
	t, err := timeText(ctx, m, ids, g.opt, func(step lm.Token) (err error) {
		switch {
		case o.JSON:
		case noText == nil:
			_, err = io.WriteString(ui.Stdout, step.Text)
		case step.ID >= 0:
			_, err = fmt.Fprintf(ui.Stdout, "%d ", step.ID)
		}
		return err
	})
	if err != nil {
		return err
	}
	if o.JSON {
		return cli.Document(struct {
			Schema  int    `json:"schema"`
			Command string `json:"command"`
			Prompt  string `json:"prompt"`
			*text
		}{1, "generate", g.prompt, t})
	}
	if _, err := fmt.Fprintln(ui.Stdout); err != nil {
		return err
	}
	if !o.Quiet {
		fmt.Fprintf(os.Stderr, "[%s]\n", t)
	}
	return nil
}
