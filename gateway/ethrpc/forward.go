package ethrpc

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/ethereum/go-ethereum/rpc"
)

// method is a method of one of geth's services whose parameter types have no name
// outside of geth. It takes JSON in their place, as geth's own server does.
type method struct{ fn reflect.Value }

// findMethod returns the method of the last service that has it: that one serves.
func findMethod(apis []rpc.API, namespace, name string) (method, error) {
	for i := len(apis) - 1; i >= 0; i-- {
		if fn := reflect.ValueOf(apis[i].Service).MethodByName(name); apis[i].Namespace == namespace && fn.IsValid() {
			return method{fn}, nil
		}
	}
	return method{}, fmt.Errorf("the EVM has no method %s in namespace %s", name, namespace)
}

// call calls the method; what is a json.RawMessage is decoded, nil standing for
// not given.
func (m method) call(ctx context.Context, params ...any) (any, error) {
	in := []reflect.Value{reflect.ValueOf(ctx)}
	for i, p := range params {
		raw, isJSON := p.(json.RawMessage)
		if !isJSON {
			in = append(in, reflect.ValueOf(p))
			continue
		}
		v := reflect.New(m.fn.Type().In(i + 1))
		if raw != nil {
			if err := json.Unmarshal(raw, v.Interface()); err != nil {
				return nil, invalidParams{fmt.Sprintf("invalid argument %d: %v", i, err)}
			}
		}
		in = append(in, v.Elem())
	}
	out := m.fn.Call(in)
	if err, _ := out[1].Interface().(error); err != nil {
		return nil, err
	}
	return out[0].Interface(), nil
}

// invalidParams is the error for parameters that do not decode.
type invalidParams struct{ msg string }

// Error implements error.
func (e invalidParams) Error() string { return e.msg }

// ErrorCode implements rpc.Error.
func (invalidParams) ErrorCode() int { return -32602 }
