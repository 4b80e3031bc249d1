-- A service's database as a version without tokens wrote it.
BEGIN TRANSACTION;
CREATE TABLE ablation_events (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	study VARCHAR(32) NOT NULL, 
	time FLOAT NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	content TEXT NOT NULL
);
INSERT INTO "ablation_events" VALUES(1,'0123456789abcdef',1790000000.0,'state','{"state": "queued", "reason": "submitted"}');
CREATE TABLE ablation_studies (
	number INTEGER NOT NULL, 
	id VARCHAR(32) NOT NULL, 
	study VARCHAR(250) NOT NULL, 
	profile VARCHAR(250) NOT NULL, 
	text TEXT NOT NULL, 
	user VARCHAR(250) NOT NULL, 
	submitted FLOAT NOT NULL, 
	priority INTEGER NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	runner VARCHAR(250) NOT NULL, 
	host VARCHAR(250) NOT NULL, 
	fence INTEGER NOT NULL, 
	beat INTEGER NOT NULL, 
	deaths INTEGER NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (id)
);
INSERT INTO "ablation_studies" VALUES(1,'0123456789abcdef','width','smoke','width: {}','anna',1790000000.0,0,'queued','','',0,0,0);
CREATE INDEX ix_ablation_studies_state ON ablation_studies (state);
CREATE INDEX ix_ablation_events_study ON ablation_events (study);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('ablation_events',1);
COMMIT;
