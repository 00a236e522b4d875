package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"qpt/internal/cli"
	"qpt/internal/outfile"
	"qpt/internal/ui"
	"qpt/runtime/serve"
)

// batchOptions are the flags of qrun batch.
type batchOptions struct {
	serveOptions
	input, output string
	part          shard
}

func batchCommand(o *options) *cobra.Command {
	b := &batchOptions{serveOptions: serveOptions{options: o}}
	c := &cobra.Command{
		Use:   "batch FILE.qpt..",
		Short: "Answer a file of requests in the form of OpenAI's batches",
		Long: `batch answers the requests of a .jsonl file, many at once, as qrun serve would, and
writes a line for each when it has its answer. Lines are OpenAI's of batches:
  {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {..}}
for completions, chats, responses, embeddings, rerank, score and classify. Answers come in
the order in which they are ready; custom_id tells whose they are.
When the output file is there already, batch goes on with it: requests that it answers are passed over. So
a run that was stopped is just started again. --shard I/N answers one of N parts, for several machines.`,
		Example: `  qrun batch m.qpt --input requests.jsonl --output answers.jsonl
  qrun batch m.qpt --input requests.jsonl --output answers-3.jsonl --shard 3/8`,
		RunE: func(c *cobra.Command, args []string) error { return b.run(c.Context(), args) },
	}
	f := c.Flags()
	f.StringArrayVarP(&b.models, "model", "m", nil, ".qpt `FILE`, also as an argument (repeatable)")
	f.StringArrayVar(&b.aliases, "alias", nil, "another name of a model, a `NAME=MODEL` (repeatable)")
	f.StringVarP(&b.input, "input", "i", "", "`FILE` of requests, .jsonl")
	f.StringVarP(&b.output, "output", "o", "", "`FILE` for the answers, .jsonl, which a later run goes on with")
	f.StringVar(&b.memory, "kv-memory", "", "`SIZE` of all keys and values, kept prefixes among them (default a quarter of the free memory)")
	f.IntVar(&b.opt.Sched.Texts, "max-running", 64, "texts that run at once at most")
	b.part.flag(c)
	cli.CompleteFiles(c, "model", "qpt")
	cli.CompleteFiles(c, "", "qpt")
	cli.CompleteFiles(c, "input", "jsonl")
	return c
}

// batchLine is a request.
type batchLine struct {
	ID     string          `json:"custom_id"`
	Method string          `json:"method"`
	URL    string          `json:"url"`
	Body   json.RawMessage `json:"body"`
}

// batchAnswer is OpenAI's line of an answer: a response, whatever its status, or an error of the line itself.
type batchAnswer struct {
	ID       string         `json:"id"`
	Custom   string         `json:"custom_id"`
	Response *batchResponse `json:"response"`
	Error    *batchError    `json:"error"`
}

type batchResponse struct {
	Status int             `json:"status_code"`
	ID     string          `json:"request_id"`
	Body   json.RawMessage `json:"body"`
}

type batchError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (b *batchOptions) run(ctx context.Context, args []string) error {
	b.models = append(b.models, args...)
	switch {
	case len(b.models) == 0:
		return fmt.Errorf("%w: which .qpt files? give them as arguments or with --model", cli.ErrUsage)
	case b.input == "" || b.output == "":
		return fmt.Errorf("%w: give the files of requests and of answers with --input and --output", cli.ErrUsage)
	case b.opt.Sched.Texts < 1:
		return fmt.Errorf("%w: --max-running %d: must be 1 or more", cli.ErrUsage, b.opt.Sched.Texts)
	}
	if err := b.setMemory(); err != nil {
		return err
	}
	if err := outfile.Check(b.output, append(b.models, b.input)...); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	in, err := os.Open(b.input)
	if err != nil {
		return fmt.Errorf("--input: %w", err)
	}
	defer in.Close()
	answered := map[string]bool{}
	out, err := resume(b.output, func(r io.Reader) (int64, error) { return answers(r, answered) })
	if err != nil {
		return err
	}
	defer out.Close()
	models, err := b.list()
	if err != nil {
		return err
	}
	b.opt.Sched.Queue = 1 << 20 // as many as run here are never refused
	s, err := serve.New(models, b.opt)
	if err != nil {
		return err
	}
	defer s.Close(context.WithoutCancel(ctx))
	if err := s.Load(); err != nil {
		return err
	}
	return b.answer(ctx, s, in, out, answered)
}

// answers notes the requests that lines answer, and returns where the last whole line ends.
func answers(r io.Reader, answered map[string]bool) (whole int64, err error) {
	lines := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return whole, nil
		}
		var a batchAnswer
		if err == nil {
			err = json.Unmarshal(line, &a)
		}
		if err != nil || a.Custom == "" {
			return 0, fmt.Errorf("%w: it holds something else than answers of qrun batch: give another name", errInput)
		}
		answered[a.Custom] = true
		whole += int64(len(line))
	}
}

// answer answers the requests, as many at once as the models take.
func (b *batchOptions) answer(ctx context.Context, s *serve.Server, in io.Reader, out io.Writer, answered map[string]bool) error {
	before, sum := len(answered), struct{ good, bad, passed int }{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed error
	room := make(chan struct{}, 2*b.opt.Sched.Texts)
	put := func(a *batchAnswer, good bool) {
		line, err := json.Marshal(a)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			_, err = out.Write(append(line, '\n'))
		}
		if failed == nil {
			failed = err
		}
		if good {
			sum.good++
		} else {
			sum.bad++
		}
	}
	stopped := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return ctx.Err() != nil || failed != nil
	}
	lines := bufio.NewReaderSize(in, 1<<16)
	seen := map[string]bool{}
	for number := 0; !stopped(); number++ {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 && b.part.has(number) {
			q, problem := readBatchLine(line)
			switch {
			case q.ID == "":
				wg.Wait()
				return fmt.Errorf("%w: %s: line %d: %s", errInput, b.input, number+1, problem)
			case seen[q.ID]:
				wg.Wait()
				return fmt.Errorf("%w: %s: line %d: the custom_id %q is there twice", errInput, b.input, number+1, q.ID)
			case answered[q.ID]:
				sum.passed++
			case problem != "":
				put(&batchAnswer{ID: "batch_req_" + q.ID, Custom: q.ID, Error: &batchError{"invalid_request", problem}}, false)
			default:
				room <- struct{}{}
				wg.Go(func() {
					defer func() { <-room }()
					status, body := s.Do(ctx, q.URL, q.Body)
					if ctx.Err() == nil { // else it is for the next run
						put(&batchAnswer{ID: "batch_req_" + q.ID, Custom: q.ID, Response: &batchResponse{status, "req_" + q.ID, bytes.TrimSpace(body)}}, status == 200)
					}
				})
			}
			seen[q.ID] = true
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			wg.Wait()
			return fmt.Errorf("--input: %w", err)
		}
	}
	wg.Wait()
	if failed != nil {
		return fmt.Errorf("--output: %w", failed)
	}
	if before > 0 {
		ui.Note("qrun", "%d requests were answered before", sum.passed)
	}
	ui.Note("qrun", "%d requests answered, %d refused", sum.good, sum.bad)
	return ctx.Err()
}

// batchPaths are the endpoints that a line may name.
var batchPaths = strings.Fields("/v1/completions /v1/chat/completions /v1/responses /v1/embeddings /v1/rerank /rerank /score /v1/score /classify")

// readBatchLine reads a request, and says what is wrong with it, "" for nothing.
func readBatchLine(line []byte) (q batchLine, problem string) {
	if err := json.Unmarshal(line, &q); err != nil || q.ID == "" {
		return batchLine{}, `want {"custom_id": .., "method": "POST", "url": .., "body": {..}}`
	}
	var body struct {
		Stream bool `json:"stream"`
	}
	switch {
	case q.Method != "POST":
		return q, fmt.Sprintf("method %.20q: must be POST", q.Method)
	case !slices.Contains(batchPaths, q.URL):
		return q, fmt.Sprintf("url %.60q: must be one of %s", q.URL, strings.Join(batchPaths, ", "))
	case json.Unmarshal(q.Body, &body) != nil:
		return q, "body must be an object"
	case body.Stream:
		return q, "stream in a batch"
	}
	return q, ""
}
