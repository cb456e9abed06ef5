BEGIN TRANSACTION;
CREATE TABLE calibration (
	profile VARCHAR NOT NULL, 
	rates JSON NOT NULL, 
	correction FLOAT NOT NULL, 
	PRIMARY KEY (profile)
);
INSERT INTO "calibration" VALUES('aca3cdeddce28c370f6f3c2a3fce122f2164c695c2b387d487ae5b7dc1ba302e','{"threads": 4, "call": 1.0, "precise_bootstrap": 0.1, "extraction": 0.01, "product": 0.001, "input": 0.0001, "value": 1e-05, "base_bytes": 500000000}',1.0);
CREATE TABLE evaluation_keys (
	digest VARCHAR NOT NULL, 
	profile VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	bytes INTEGER NOT NULL, 
	uploaded_at DATETIME NOT NULL, 
	problem JSON, 
	PRIMARY KEY (digest)
);
INSERT INTO "evaluation_keys" VALUES('b24d6d33736ecd5604a4b17bc9c6481039fac362bb7df044ef1c10a2bfd21db6','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','ready',5,'2026-11-29 22:20:56.415342','null');
INSERT INTO "evaluation_keys" VALUES('20cd938a2ea64f612b3523bc9219130c6fc66cd09b394ea38437488c0b8898b2','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','rejected',8,'2026-11-29 22:20:56.431241','{"type": "urn:epaas:problem:invalid-evaluation-keys", "title": "The evaluation keys are damaged", "status": 422, "detail": "the trial run with these keys crashed", "code": "invalid-evaluation-keys", "field": "keyset", "hint": "generate new keys with `epaas keys generate` and upload them", "instance": null, "shortfalls": null, "faults": null}');
INSERT INTO "evaluation_keys" VALUES('7f98506ac7260e0e07f44b12711de667391b133a45ff4c8d2478667416b0f7a1','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','checking',8,'2026-11-29 22:20:56.448231',NULL);
CREATE TABLE jobs (
	id VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	started_at DATETIME, 
	finished_at DATETIME, 
	worker VARCHAR, 
	fence INTEGER NOT NULL, 
	attempts INTEGER NOT NULL, 
	lease_until FLOAT, 
	evaluation_keys VARCHAR NOT NULL, 
	model_name VARCHAR, 
	model_version INTEGER, 
	model_digest VARCHAR, 
	records INTEGER, 
	"plan" JSON, 
	predicted_seconds FLOAT, 
	record_blob VARCHAR, 
	bootstraps_done INTEGER NOT NULL, 
	bootstraps_total INTEGER NOT NULL, 
	layers_done INTEGER NOT NULL, 
	checkpoint_blob VARCHAR, 
	result_blob VARCHAR, 
	evaluation_seconds FLOAT NOT NULL, 
	threads INTEGER, 
	problem JSON, 
	idempotency_key VARCHAR, 
	request_digest VARCHAR, 
	PRIMARY KEY (id), 
	UNIQUE (idempotency_key)
);
INSERT INTO "jobs" VALUES('204e832b137cd93d26e865cccfe4b81e','check-keys','succeeded','2026-11-29 22:20:56.416544','2026-11-29 22:20:56.453989','2026-11-29 22:20:56.472614','old-worker',1,1,1795990856.5,'b24d6d33736ecd5604a4b17bc9c6481039fac362bb7df044ef1c10a2bfd21db6',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,1.5,2,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('5d35334fdc2be72f81f3347e56ba6eb2','check-keys','failed','2026-11-29 22:20:56.431732','2026-11-29 22:20:56.479240','2026-11-29 22:20:56.487917','old-worker',1,1,1795990856.5,'20cd938a2ea64f612b3523bc9219130c6fc66cd09b394ea38437488c0b8898b2',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,0.0,NULL,'{"type": "urn:epaas:problem:invalid-evaluation-keys", "title": "The evaluation keys are damaged", "status": 422, "detail": "the trial run with these keys crashed", "code": "invalid-evaluation-keys", "field": "keyset", "hint": "generate new keys with `epaas keys generate` and upload them", "instance": null, "shortfalls": null, "faults": null}',NULL,NULL);
INSERT INTO "jobs" VALUES('7eaad9298df565f7454c4e14e1f61c7b','check-keys','queued','2026-11-29 22:20:56.448858','2026-11-29 22:20:56.540207',NULL,'old-worker',1,0,NULL,'7f98506ac7260e0e07f44b12711de667391b133a45ff4c8d2478667416b0f7a1',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,0.0,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('queued','predict','queued','2026-11-29 22:20:56.494003','2026-11-29 22:20:56.547331',NULL,'old-worker',1,0,NULL,'b24d6d33736ecd5604a4b17bc9c6481039fac362bb7df044ef1c10a2bfd21db6','toy',3,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',2,'{"layers": [{"strategy": "accumulate", "sums": {"minimum": -7, "maximum": 30, "squared_norm": 37, "fresh": true, "source": "worst-case"}, "bootstraps": 30}, {"strategy": "reduce-tree", "sums": {"minimum": -3, "maximum": 2, "squared_norm": 5, "fresh": false, "source": "measured"}, "bootstraps": 15}]}',10.0,'jobs/queued/record',0,90,0,NULL,NULL,0.0,NULL,NULL,'key of queued','r');
INSERT INTO "jobs" VALUES('running','predict','running','2026-11-29 22:20:56.503657','2026-11-29 22:20:56.556113',NULL,'old-worker',1,1,1795990856.5,'b24d6d33736ecd5604a4b17bc9c6481039fac362bb7df044ef1c10a2bfd21db6','toy',3,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',2,'{"layers": [{"strategy": "accumulate", "sums": {"minimum": -7, "maximum": 30, "squared_norm": 37, "fresh": true, "source": "worst-case"}, "bootstraps": 30}, {"strategy": "reduce-tree", "sums": {"minimum": -3, "maximum": 2, "squared_norm": 5, "fresh": false, "source": "measured"}, "bootstraps": 15}]}',10.0,'jobs/running/record',60,90,1,'jobs/running/1-layer-1',NULL,4.0,NULL,NULL,'key of running','r');
INSERT INTO "jobs" VALUES('succeeded','predict','succeeded','2026-11-29 22:20:56.510738','2026-11-29 22:20:56.564082','2026-11-29 22:20:56.662314','old-worker',1,1,1795990856.5,'b24d6d33736ecd5604a4b17bc9c6481039fac362bb7df044ef1c10a2bfd21db6','toy',3,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',2,'{"layers": [{"strategy": "accumulate", "sums": {"minimum": -7, "maximum": 30, "squared_norm": 37, "fresh": true, "source": "worst-case"}, "bootstraps": 30}, {"strategy": "reduce-tree", "sums": {"minimum": -3, "maximum": 2, "squared_norm": 5, "fresh": false, "source": "measured"}, "bootstraps": 15}]}',10.0,'jobs/succeeded/record',90,90,0,NULL,'jobs/succeeded/1-result',9.0,2,NULL,'key of succeeded','r');
INSERT INTO "jobs" VALUES('failed','predict','failed','2026-11-29 22:20:56.519674','2026-11-29 22:20:56.577928','2026-11-29 22:20:56.670784','old-worker',1,1,1795990856.5,'b24d6d33736ecd5604a4b17bc9c6481039fac362bb7df044ef1c10a2bfd21db6','toy',3,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',2,'{"layers": [{"strategy": "accumulate", "sums": {"minimum": -7, "maximum": 30, "squared_norm": 37, "fresh": true, "source": "worst-case"}, "bootstraps": 30}, {"strategy": "reduce-tree", "sums": {"minimum": -3, "maximum": 2, "squared_norm": 5, "fresh": false, "source": "measured"}, "bootstraps": 15}]}',10.0,'jobs/failed/record',0,90,0,NULL,NULL,0.0,NULL,'{"type": "urn:epaas:problem:prediction-failed", "title": "The prediction failed", "status": 409, "detail": "the evaluation failed: because", "code": "prediction-failed", "field": null, "hint": null, "instance": null, "shortfalls": null, "faults": null}','key of failed','r');
INSERT INTO "jobs" VALUES('cancelled','predict','cancelled','2026-11-29 22:20:56.525371','2026-11-29 22:20:56.594319','2026-11-29 22:20:56.680866','old-worker',1,1,1795990856.5,'b24d6d33736ecd5604a4b17bc9c6481039fac362bb7df044ef1c10a2bfd21db6','toy',3,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',2,'{"layers": [{"strategy": "accumulate", "sums": {"minimum": -7, "maximum": 30, "squared_norm": 37, "fresh": true, "source": "worst-case"}, "bootstraps": 30}, {"strategy": "reduce-tree", "sums": {"minimum": -3, "maximum": 2, "squared_norm": 5, "fresh": false, "source": "measured"}, "bootstraps": 15}]}',10.0,'jobs/cancelled/record',0,90,0,NULL,NULL,0.0,NULL,NULL,'key of cancelled','r');
INSERT INTO "jobs" VALUES('abandoned','predict','running','2026-11-29 22:20:56.528518','2026-11-29 22:20:56.600173',NULL,'old-worker',1,1,1.79499085668699455255e+09,'b24d6d33736ecd5604a4b17bc9c6481039fac362bb7df044ef1c10a2bfd21db6','toy',3,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',2,'{"layers": [{"strategy": "accumulate", "sums": {"minimum": -7, "maximum": 30, "squared_norm": 37, "fresh": true, "source": "worst-case"}, "bootstraps": 30}, {"strategy": "reduce-tree", "sums": {"minimum": -3, "maximum": 2, "squared_norm": 5, "fresh": false, "source": "measured"}, "bootstraps": 15}]}',10.0,'jobs/abandoned/record',3,90,0,NULL,NULL,0.0,NULL,NULL,'key of abandoned','r');
CREATE TABLE model_versions (
	name VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	digest VARCHAR NOT NULL, 
	manifest JSON NOT NULL, 
	task VARCHAR NOT NULL, 
	"plan" JSON NOT NULL, 
	cost JSON NOT NULL, 
	published_at DATETIME NOT NULL, 
	PRIMARY KEY (name, version), 
	UNIQUE (name, digest)
);
INSERT INTO "model_versions" VALUES('toy',1,'d72e49756ca7e86b66e2a0f72a73e677037c5cb16537fc058d4a357f89149ce8','{"format": "epaas-bundle/1", "name": "toy", "title": "Toy 1", "profile": "aca3cdeddce28c370f6f3c2a3fce122f2164c695c2b387d487ae5b7dc1ba302e", "input_schema": "f5d04dd6ba27349e2a6998c8a21b4dd405d864afeafd61978f328e58a087274e", "output": "label", "scores": null, "layers": [{"kind": "dense", "inputs": 5, "outputs": 2}, {"kind": "dense", "inputs": 2, "outputs": 1}], "logit_unit": null, "measured_ranges": null, "files": {"report.json": "853155310537a8e337eed24c3ce9a2aaf2f8090e6344dc2295bdd6a978ba5015", "schema.json": "f5d04dd6ba27349e2a6998c8a21b4dd405d864afeafd61978f328e58a087274e", "weights.safetensors": "d7418d23097c8e42feb8d92b97b870ce35947a32892ff9c0d9bc35ce2b00747e"}, "provenance": {"command": "by hand", "seed": 0, "data": "none", "data_digest": "0000000000000000000000000000000000000000000000000000000000000000", "split": "none", "configuration": {}, "versions": {}, "threads": null, "created": "2026-01-01T00:00:00+00:00"}}','toy/v1','{"layers": [{"strategy": "accumulate", "sums": {"minimum": -2, "maximum": 2, "squared_norm": 4, "fresh": true, "source": "worst-case"}, "bootstraps": 10}, {"strategy": "accumulate", "sums": {"minimum": -1, "maximum": 1, "squared_norm": 2, "fresh": false, "source": "worst-case"}, "bootstraps": 5}]}','{"bootstraps": 15, "depth": 10, "calls": {"threshold6": {"2": 1, "1": 1}}, "products": 12, "peak_ciphertexts": 9, "inputs": 5, "values": 1}','2026-11-29 22:20:56.267941');
INSERT INTO "model_versions" VALUES('toy',2,'74850ad4b6e6e0d0872256dea72b30405d4717cdc06522d1810923fe5520b775','{"format": "epaas-bundle/1", "name": "toy", "title": "Toy 2", "profile": "aca3cdeddce28c370f6f3c2a3fce122f2164c695c2b387d487ae5b7dc1ba302e", "input_schema": "f5d04dd6ba27349e2a6998c8a21b4dd405d864afeafd61978f328e58a087274e", "output": "label", "scores": null, "layers": [{"kind": "dense", "inputs": 5, "outputs": 2}, {"kind": "dense", "inputs": 2, "outputs": 1}], "logit_unit": null, "measured_ranges": null, "files": {"report.json": "853155310537a8e337eed24c3ce9a2aaf2f8090e6344dc2295bdd6a978ba5015", "schema.json": "f5d04dd6ba27349e2a6998c8a21b4dd405d864afeafd61978f328e58a087274e", "weights.safetensors": "d7418d23097c8e42feb8d92b97b870ce35947a32892ff9c0d9bc35ce2b00747e"}, "provenance": {"command": "by hand", "seed": 0, "data": "none", "data_digest": "0000000000000000000000000000000000000000000000000000000000000000", "split": "none", "configuration": {}, "versions": {}, "threads": null, "created": "2026-01-01T00:00:00+00:00"}}','toy/v1','{"layers": [{"strategy": "accumulate", "sums": {"minimum": -2, "maximum": 2, "squared_norm": 4, "fresh": true, "source": "worst-case"}, "bootstraps": 10}, {"strategy": "accumulate", "sums": {"minimum": -1, "maximum": 1, "squared_norm": 2, "fresh": false, "source": "worst-case"}, "bootstraps": 5}]}','{"bootstraps": 15, "depth": 10, "calls": {"threshold6": {"2": 1, "1": 1}}, "products": 12, "peak_ciphertexts": 9, "inputs": 5, "values": 1}','2026-11-29 22:20:56.312063');
INSERT INTO "model_versions" VALUES('toy',3,'0c76c128a1fba0ae1bd5c0a6225a7a58d113e1fa49910a0d5e496d0d52f3a43c','{"format": "epaas-bundle/1", "name": "toy", "title": "Toy 3", "profile": "aca3cdeddce28c370f6f3c2a3fce122f2164c695c2b387d487ae5b7dc1ba302e", "input_schema": "f5d04dd6ba27349e2a6998c8a21b4dd405d864afeafd61978f328e58a087274e", "output": "label", "scores": null, "layers": [{"kind": "dense", "inputs": 5, "outputs": 2}, {"kind": "dense", "inputs": 2, "outputs": 1}], "logit_unit": null, "measured_ranges": null, "files": {"report.json": "853155310537a8e337eed24c3ce9a2aaf2f8090e6344dc2295bdd6a978ba5015", "schema.json": "f5d04dd6ba27349e2a6998c8a21b4dd405d864afeafd61978f328e58a087274e", "weights.safetensors": "d7418d23097c8e42feb8d92b97b870ce35947a32892ff9c0d9bc35ce2b00747e"}, "provenance": {"command": "by hand", "seed": 0, "data": "none", "data_digest": "0000000000000000000000000000000000000000000000000000000000000000", "split": "none", "configuration": {}, "versions": {}, "threads": null, "created": "2026-01-01T00:00:00+00:00"}}','toy/v1','{"layers": [{"strategy": "accumulate", "sums": {"minimum": -2, "maximum": 2, "squared_norm": 4, "fresh": true, "source": "worst-case"}, "bootstraps": 10}, {"strategy": "accumulate", "sums": {"minimum": -1, "maximum": 1, "squared_norm": 2, "fresh": false, "source": "worst-case"}, "bootstraps": 5}]}','{"bootstraps": 15, "depth": 10, "calls": {"threshold6": {"2": 1, "1": 1}}, "products": 12, "peak_ciphertexts": 9, "inputs": 5, "values": 1}','2026-11-29 22:20:56.365446');
CREATE TABLE releases (
	name VARCHAR NOT NULL, 
	alias VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	"before" INTEGER, 
	released_at DATETIME NOT NULL, 
	PRIMARY KEY (name, alias, number), 
	FOREIGN KEY(name, version) REFERENCES model_versions (name, version)
);
INSERT INTO "releases" VALUES('toy','stable',1,1,NULL,'2026-11-29 22:20:56.274955');
INSERT INTO "releases" VALUES('toy','stable',2,2,1,'2026-11-29 22:20:56.314866');
INSERT INTO "releases" VALUES('toy','candidate',1,3,NULL,'2026-11-29 22:20:56.366131');
INSERT INTO "releases" VALUES('toy','stable',3,1,NULL,'2026-11-29 22:20:56.378141');
CREATE TABLE tokens (
	id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	scope VARCHAR NOT NULL, 
	sha256 VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "tokens" VALUES('e7c9735e87a90605','training service','publish','53b1276a79b9ab47f4ae3f6d5105eea48845cd1b965edc32748cff1860207ce5','2026-11-29 22:20:56.391384');
CREATE INDEX jobs_by_state ON jobs (state, created_at);
COMMIT;
