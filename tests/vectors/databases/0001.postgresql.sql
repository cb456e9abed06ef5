SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.calibration (
    profile character varying NOT NULL,
    rates json NOT NULL,
    correction double precision NOT NULL
);
CREATE TABLE public.evaluation_keys (
    digest character varying NOT NULL,
    profile character varying NOT NULL,
    state character varying NOT NULL,
    bytes integer NOT NULL,
    uploaded_at timestamp without time zone NOT NULL,
    problem json
);
CREATE TABLE public.jobs (
    id character varying NOT NULL,
    kind character varying NOT NULL,
    state character varying NOT NULL,
    created_at timestamp without time zone NOT NULL,
    started_at timestamp without time zone,
    finished_at timestamp without time zone,
    worker character varying,
    fence integer NOT NULL,
    attempts integer NOT NULL,
    lease_until double precision,
    evaluation_keys character varying NOT NULL,
    model_name character varying,
    model_version integer,
    model_digest character varying,
    records integer,
    plan json,
    predicted_seconds double precision,
    record_blob character varying,
    bootstraps_done integer NOT NULL,
    bootstraps_total integer NOT NULL,
    layers_done integer NOT NULL,
    checkpoint_blob character varying,
    result_blob character varying,
    evaluation_seconds double precision NOT NULL,
    threads integer,
    problem json,
    idempotency_key character varying,
    request_digest character varying
);
CREATE TABLE public.model_versions (
    name character varying NOT NULL,
    version integer NOT NULL,
    digest character varying NOT NULL,
    manifest json NOT NULL,
    task character varying NOT NULL,
    plan json NOT NULL,
    cost json NOT NULL,
    published_at timestamp without time zone NOT NULL
);
CREATE TABLE public.releases (
    name character varying NOT NULL,
    alias character varying NOT NULL,
    number integer NOT NULL,
    version integer NOT NULL,
    before integer,
    released_at timestamp without time zone NOT NULL
);
CREATE TABLE public.tokens (
    id character varying NOT NULL,
    name character varying NOT NULL,
    scope character varying NOT NULL,
    sha256 character varying NOT NULL,
    created_at timestamp without time zone NOT NULL
);
INSERT INTO public.calibration VALUES ('aca3cdeddce28c370f6f3c2a3fce122f2164c695c2b387d487ae5b7dc1ba302e', '{"threads": 4, "call": 1.0, "precise_bootstrap": 0.1, "extraction": 0.01, "product": 0.001, "input": 0.0001, "value": 1e-05, "base_bytes": 500000000}', 1);
INSERT INTO public.evaluation_keys VALUES ('7f98506ac7260e0e07f44b12711de667391b133a45ff4c8d2478667416b0f7a1', 'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'checking', 8, '2026-11-29 22:21:01.886561', NULL);
INSERT INTO public.evaluation_keys VALUES ('b24d6d33736ecd5604a4b17bc9c6481039fac362bb7df044ef1c10a2bfd21db6', 'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'ready', 5, '2026-11-29 22:21:01.856304', 'null');
INSERT INTO public.evaluation_keys VALUES ('20cd938a2ea64f612b3523bc9219130c6fc66cd09b394ea38437488c0b8898b2', 'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'rejected', 8, '2026-11-29 22:21:01.874558', '{"type": "urn:epaas:problem:invalid-evaluation-keys", "title": "The evaluation keys are damaged", "status": 422, "detail": "the trial run with these keys crashed", "code": "invalid-evaluation-keys", "field": "keyset", "hint": "generate new keys with `epaas keys generate` and upload them", "instance": null, "shortfalls": null, "faults": null}');
INSERT INTO public.jobs VALUES ('61f6d031045bee691d430ab56ca54585', 'check-keys', 'succeeded', '2026-11-29 22:21:01.858196', '2026-11-29 22:21:01.895811', '2026-11-29 22:21:01.911043', 'old-worker', 1, 1, 1795990856.5, 'b24d6d33736ecd5604a4b17bc9c6481039fac362bb7df044ef1c10a2bfd21db6', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, NULL, NULL, 1.5, 2, NULL, NULL, NULL);
INSERT INTO public.jobs VALUES ('17577460193b526eb40766810e9e2269', 'check-keys', 'failed', '2026-11-29 22:21:01.876097', '2026-11-29 22:21:01.923955', '2026-11-29 22:21:01.935303', 'old-worker', 1, 1, 1795990856.5, '20cd938a2ea64f612b3523bc9219130c6fc66cd09b394ea38437488c0b8898b2', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, NULL, NULL, 0, NULL, '{"type": "urn:epaas:problem:invalid-evaluation-keys", "title": "The evaluation keys are damaged", "status": 422, "detail": "the trial run with these keys crashed", "code": "invalid-evaluation-keys", "field": "keyset", "hint": "generate new keys with `epaas keys generate` and upload them", "instance": null, "shortfalls": null, "faults": null}', NULL, NULL);
INSERT INTO public.jobs VALUES ('dfa9cd03502ad002debb98575fa02de0', 'check-keys', 'queued', '2026-11-29 22:21:01.88769', '2026-11-29 22:21:01.991225', NULL, 'old-worker', 1, 0, NULL, '7f98506ac7260e0e07f44b12711de667391b133a45ff4c8d2478667416b0f7a1', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, NULL, NULL, 0, NULL, NULL, NULL, NULL);
INSERT INTO public.jobs VALUES ('queued', 'predict', 'queued', '2026-11-29 22:21:01.942882', '2026-11-29 22:21:01.998662', NULL, 'old-worker', 1, 0, NULL, 'b24d6d33736ecd5604a4b17bc9c6481039fac362bb7df044ef1c10a2bfd21db6', 'toy', 3, 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 2, '{"layers": [{"strategy": "accumulate", "sums": {"minimum": -7, "maximum": 30, "squared_norm": 37, "fresh": true, "source": "worst-case"}, "bootstraps": 30}, {"strategy": "reduce-tree", "sums": {"minimum": -3, "maximum": 2, "squared_norm": 5, "fresh": false, "source": "measured"}, "bootstraps": 15}]}', 10, 'jobs/queued/record', 0, 90, 0, NULL, NULL, 0, NULL, NULL, 'key of queued', 'r');
INSERT INTO public.jobs VALUES ('running', 'predict', 'running', '2026-11-29 22:21:01.954852', '2026-11-29 22:21:02.007242', NULL, 'old-worker', 1, 1, 1795990856.5, 'b24d6d33736ecd5604a4b17bc9c6481039fac362bb7df044ef1c10a2bfd21db6', 'toy', 3, 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 2, '{"layers": [{"strategy": "accumulate", "sums": {"minimum": -7, "maximum": 30, "squared_norm": 37, "fresh": true, "source": "worst-case"}, "bootstraps": 30}, {"strategy": "reduce-tree", "sums": {"minimum": -3, "maximum": 2, "squared_norm": 5, "fresh": false, "source": "measured"}, "bootstraps": 15}]}', 10, 'jobs/running/record', 60, 90, 1, 'jobs/running/1-layer-1', NULL, 4, NULL, NULL, 'key of running', 'r');
INSERT INTO public.jobs VALUES ('succeeded', 'predict', 'succeeded', '2026-11-29 22:21:01.966396', '2026-11-29 22:21:02.012763', '2026-11-29 22:21:02.064978', 'old-worker', 1, 1, 1795990856.5, 'b24d6d33736ecd5604a4b17bc9c6481039fac362bb7df044ef1c10a2bfd21db6', 'toy', 3, 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 2, '{"layers": [{"strategy": "accumulate", "sums": {"minimum": -7, "maximum": 30, "squared_norm": 37, "fresh": true, "source": "worst-case"}, "bootstraps": 30}, {"strategy": "reduce-tree", "sums": {"minimum": -3, "maximum": 2, "squared_norm": 5, "fresh": false, "source": "measured"}, "bootstraps": 15}]}', 10, 'jobs/succeeded/record', 90, 90, 0, NULL, 'jobs/succeeded/1-result', 9, 2, NULL, 'key of succeeded', 'r');
INSERT INTO public.jobs VALUES ('failed', 'predict', 'failed', '2026-11-29 22:21:01.972854', '2026-11-29 22:21:02.02095', '2026-11-29 22:21:02.066986', 'old-worker', 1, 1, 1795990856.5, 'b24d6d33736ecd5604a4b17bc9c6481039fac362bb7df044ef1c10a2bfd21db6', 'toy', 3, 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 2, '{"layers": [{"strategy": "accumulate", "sums": {"minimum": -7, "maximum": 30, "squared_norm": 37, "fresh": true, "source": "worst-case"}, "bootstraps": 30}, {"strategy": "reduce-tree", "sums": {"minimum": -3, "maximum": 2, "squared_norm": 5, "fresh": false, "source": "measured"}, "bootstraps": 15}]}', 10, 'jobs/failed/record', 0, 90, 0, NULL, NULL, 0, NULL, '{"type": "urn:epaas:problem:prediction-failed", "title": "The prediction failed", "status": 409, "detail": "the evaluation failed: because", "code": "prediction-failed", "field": null, "hint": null, "instance": null, "shortfalls": null, "faults": null}', 'key of failed', 'r');
INSERT INTO public.jobs VALUES ('cancelled', 'predict', 'cancelled', '2026-11-29 22:21:01.97862', '2026-11-29 22:21:02.029975', '2026-11-29 22:21:02.073647', 'old-worker', 1, 1, 1795990856.5, 'b24d6d33736ecd5604a4b17bc9c6481039fac362bb7df044ef1c10a2bfd21db6', 'toy', 3, 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 2, '{"layers": [{"strategy": "accumulate", "sums": {"minimum": -7, "maximum": 30, "squared_norm": 37, "fresh": true, "source": "worst-case"}, "bootstraps": 30}, {"strategy": "reduce-tree", "sums": {"minimum": -3, "maximum": 2, "squared_norm": 5, "fresh": false, "source": "measured"}, "bootstraps": 15}]}', 10, 'jobs/cancelled/record', 0, 90, 0, NULL, NULL, 0, NULL, NULL, 'key of cancelled', 'r');
INSERT INTO public.jobs VALUES ('abandoned', 'predict', 'running', '2026-11-29 22:21:01.984958', '2026-11-29 22:21:02.035322', NULL, 'old-worker', 1, 1, 1794990862.087636, 'b24d6d33736ecd5604a4b17bc9c6481039fac362bb7df044ef1c10a2bfd21db6', 'toy', 3, 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 2, '{"layers": [{"strategy": "accumulate", "sums": {"minimum": -7, "maximum": 30, "squared_norm": 37, "fresh": true, "source": "worst-case"}, "bootstraps": 30}, {"strategy": "reduce-tree", "sums": {"minimum": -3, "maximum": 2, "squared_norm": 5, "fresh": false, "source": "measured"}, "bootstraps": 15}]}', 10, 'jobs/abandoned/record', 3, 90, 0, NULL, NULL, 0, NULL, NULL, 'key of abandoned', 'r');
INSERT INTO public.model_versions VALUES ('toy', 1, 'd72e49756ca7e86b66e2a0f72a73e677037c5cb16537fc058d4a357f89149ce8', '{"format": "epaas-bundle/1", "name": "toy", "title": "Toy 1", "profile": "aca3cdeddce28c370f6f3c2a3fce122f2164c695c2b387d487ae5b7dc1ba302e", "input_schema": "f5d04dd6ba27349e2a6998c8a21b4dd405d864afeafd61978f328e58a087274e", "output": "label", "scores": null, "layers": [{"kind": "dense", "inputs": 5, "outputs": 2}, {"kind": "dense", "inputs": 2, "outputs": 1}], "logit_unit": null, "measured_ranges": null, "files": {"report.json": "853155310537a8e337eed24c3ce9a2aaf2f8090e6344dc2295bdd6a978ba5015", "schema.json": "f5d04dd6ba27349e2a6998c8a21b4dd405d864afeafd61978f328e58a087274e", "weights.safetensors": "d7418d23097c8e42feb8d92b97b870ce35947a32892ff9c0d9bc35ce2b00747e"}, "provenance": {"command": "by hand", "seed": 0, "data": "none", "data_digest": "0000000000000000000000000000000000000000000000000000000000000000", "split": "none", "configuration": {}, "versions": {}, "threads": null, "created": "2026-01-01T00:00:00+00:00"}}', 'toy/v1', '{"layers": [{"strategy": "accumulate", "sums": {"minimum": -2, "maximum": 2, "squared_norm": 4, "fresh": true, "source": "worst-case"}, "bootstraps": 10}, {"strategy": "accumulate", "sums": {"minimum": -1, "maximum": 1, "squared_norm": 2, "fresh": false, "source": "worst-case"}, "bootstraps": 5}]}', '{"bootstraps": 15, "depth": 10, "calls": {"threshold6": {"2": 1, "1": 1}}, "products": 12, "peak_ciphertexts": 9, "inputs": 5, "values": 1}', '2026-11-29 22:21:01.693496');
INSERT INTO public.model_versions VALUES ('toy', 2, '74850ad4b6e6e0d0872256dea72b30405d4717cdc06522d1810923fe5520b775', '{"format": "epaas-bundle/1", "name": "toy", "title": "Toy 2", "profile": "aca3cdeddce28c370f6f3c2a3fce122f2164c695c2b387d487ae5b7dc1ba302e", "input_schema": "f5d04dd6ba27349e2a6998c8a21b4dd405d864afeafd61978f328e58a087274e", "output": "label", "scores": null, "layers": [{"kind": "dense", "inputs": 5, "outputs": 2}, {"kind": "dense", "inputs": 2, "outputs": 1}], "logit_unit": null, "measured_ranges": null, "files": {"report.json": "853155310537a8e337eed24c3ce9a2aaf2f8090e6344dc2295bdd6a978ba5015", "schema.json": "f5d04dd6ba27349e2a6998c8a21b4dd405d864afeafd61978f328e58a087274e", "weights.safetensors": "d7418d23097c8e42feb8d92b97b870ce35947a32892ff9c0d9bc35ce2b00747e"}, "provenance": {"command": "by hand", "seed": 0, "data": "none", "data_digest": "0000000000000000000000000000000000000000000000000000000000000000", "split": "none", "configuration": {}, "versions": {}, "threads": null, "created": "2026-01-01T00:00:00+00:00"}}', 'toy/v1', '{"layers": [{"strategy": "accumulate", "sums": {"minimum": -2, "maximum": 2, "squared_norm": 4, "fresh": true, "source": "worst-case"}, "bootstraps": 10}, {"strategy": "accumulate", "sums": {"minimum": -1, "maximum": 1, "squared_norm": 2, "fresh": false, "source": "worst-case"}, "bootstraps": 5}]}', '{"bootstraps": 15, "depth": 10, "calls": {"threshold6": {"2": 1, "1": 1}}, "products": 12, "peak_ciphertexts": 9, "inputs": 5, "values": 1}', '2026-11-29 22:21:01.74365');
INSERT INTO public.model_versions VALUES ('toy', 3, '0c76c128a1fba0ae1bd5c0a6225a7a58d113e1fa49910a0d5e496d0d52f3a43c', '{"format": "epaas-bundle/1", "name": "toy", "title": "Toy 3", "profile": "aca3cdeddce28c370f6f3c2a3fce122f2164c695c2b387d487ae5b7dc1ba302e", "input_schema": "f5d04dd6ba27349e2a6998c8a21b4dd405d864afeafd61978f328e58a087274e", "output": "label", "scores": null, "layers": [{"kind": "dense", "inputs": 5, "outputs": 2}, {"kind": "dense", "inputs": 2, "outputs": 1}], "logit_unit": null, "measured_ranges": null, "files": {"report.json": "853155310537a8e337eed24c3ce9a2aaf2f8090e6344dc2295bdd6a978ba5015", "schema.json": "f5d04dd6ba27349e2a6998c8a21b4dd405d864afeafd61978f328e58a087274e", "weights.safetensors": "d7418d23097c8e42feb8d92b97b870ce35947a32892ff9c0d9bc35ce2b00747e"}, "provenance": {"command": "by hand", "seed": 0, "data": "none", "data_digest": "0000000000000000000000000000000000000000000000000000000000000000", "split": "none", "configuration": {}, "versions": {}, "threads": null, "created": "2026-01-01T00:00:00+00:00"}}', 'toy/v1', '{"layers": [{"strategy": "accumulate", "sums": {"minimum": -2, "maximum": 2, "squared_norm": 4, "fresh": true, "source": "worst-case"}, "bootstraps": 10}, {"strategy": "accumulate", "sums": {"minimum": -1, "maximum": 1, "squared_norm": 2, "fresh": false, "source": "worst-case"}, "bootstraps": 5}]}', '{"bootstraps": 15, "depth": 10, "calls": {"threshold6": {"2": 1, "1": 1}}, "products": 12, "peak_ciphertexts": 9, "inputs": 5, "values": 1}', '2026-11-29 22:21:01.792948');
INSERT INTO public.releases VALUES ('toy', 'stable', 1, 1, NULL, '2026-11-29 22:21:01.699949');
INSERT INTO public.releases VALUES ('toy', 'stable', 2, 2, 1, '2026-11-29 22:21:01.744975');
INSERT INTO public.releases VALUES ('toy', 'candidate', 1, 3, NULL, '2026-11-29 22:21:01.798133');
INSERT INTO public.releases VALUES ('toy', 'stable', 3, 1, NULL, '2026-11-29 22:21:01.811178');
INSERT INTO public.tokens VALUES ('aa4db900c0600505', 'training service', 'publish', '987e4fb5bbedc4402fe717b6aee03a177a0122ecc6ef50d0209c4da41ac298ee', '2026-11-29 22:21:01.822893');
ALTER TABLE ONLY public.calibration
    ADD CONSTRAINT calibration_pkey PRIMARY KEY (profile);
ALTER TABLE ONLY public.evaluation_keys
    ADD CONSTRAINT evaluation_keys_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_idempotency_key_key UNIQUE (idempotency_key);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.model_versions
    ADD CONSTRAINT model_versions_name_digest_key UNIQUE (name, digest);
ALTER TABLE ONLY public.model_versions
    ADD CONSTRAINT model_versions_pkey PRIMARY KEY (name, version);
ALTER TABLE ONLY public.releases
    ADD CONSTRAINT releases_pkey PRIMARY KEY (name, alias, number);
ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT tokens_pkey PRIMARY KEY (id);
CREATE INDEX jobs_by_state ON public.jobs USING btree (state, created_at);
ALTER TABLE ONLY public.releases
    ADD CONSTRAINT releases_name_version_fkey FOREIGN KEY (name, version) REFERENCES public.model_versions(name, version);
